"""What an edge knows, as a value."""

from __future__ import annotations

import pytest

from funai.contracts.apps.edge import EdgeName, EdgeNode, EdgeRoute, RouteChanges
from funai.gateway.edge.table import EdgeTable, Upstream, upstream_of

N1 = EdgeNode(id=1, name="n1", url="http://10.0.0.1:8000")
N2 = EdgeNode(id=2, name="n2", url="http://n2")
SNAPSHOT = [
    RouteChanges(revision=5, full=True, nodes=[N1, N2], routes=[EdgeRoute(app_id=7, node_id=1)], next_page="app:7"),
    RouteChanges(
        revision=9, full=True, routes=[EdgeRoute(app_id=8, node_id=2)], names=[EdgeName(name="a-b", app_id=7, alias=True)]
    ),
]


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("http://10.0.0.1:8000", Upstream("10.0.0.1", 8000)),
        ("http://[fd00::1]/", Upstream("fd00::1", 80)),
        ("http://n2", Upstream("n2", 80)),
        ("https://n2", None),
        ("http://n2/base", None),
        ("http://n2:99999", None),
        ("", None),
        (None, None),
    ],
)
def test_upstream_of_takes_plain_http_without_a_path(url: str | None, upstream: Upstream | None) -> None:
    assert upstream_of(url) == upstream


def test_table_of_a_snapshot_has_the_first_pages_revision() -> None:
    table = EdgeTable.of(SNAPSHOT)
    assert (table.revision, table.apps) == (5, {7: 1, 8: 2})
    assert table.upstream(7) == Upstream("10.0.0.1", 8000) and table.upstream(99) is None
    assert [(d.name, d.app_id, d.alias) for d in table.domains()] == [("a-b", 7, True)]


def test_apply_answers_what_differs_and_twice_the_same_is_nothing() -> None:
    table = EdgeTable.of(SNAPSHOT)
    moved = RouteChanges(revision=10, routes=[EdgeRoute(app_id=7, node_id=2), EdgeRoute(app_id=8, node_id=2)])
    assert table.apply(moved).apps == {7}
    again = table.apply(moved)
    assert (again.apps, again.names, table.revision) == (frozenset(), False, 10)
    gone = table.apply(RouteChanges(revision=11, routes=[EdgeRoute(app_id=7)], names=[EdgeName(name="a-b")]))
    assert (gone.apps, gone.names, table.apps, table.names) == ({7}, True, {8: 2}, {})


def test_a_node_elsewhere_or_gone_moves_all_its_apps() -> None:
    table = EdgeTable.of(SNAPSHOT)
    assert table.apply(RouteChanges(revision=10, nodes=[N1])).apps == frozenset()
    elsewhere = EdgeNode(id=1, name="n1", url="https://n1")
    told = table.apply(RouteChanges(revision=11, nodes=[elsewhere]))
    assert (told.apps, told.unusable) == ({7}, (elsewhere,))
    assert table.upstream(7) is None
    assert table.apply(RouteChanges(revision=12, nodes=[EdgeNode(id=2)])).apps == {8}
    assert table.upstream(8) is None and 2 not in table.nodes


def test_table_survives_its_file_and_refuses_others() -> None:
    table = EdgeTable.of(SNAPSHOT)
    assert EdgeTable.from_json(table.to_json()) == table
    for text in ("[]", "{}", '{"form":1}', '{"form":1,"revision":1,"nodes":[],"apps":[7],"names":[]}'):
        with pytest.raises(ValueError, match="is not a table"):
            EdgeTable.from_json(text)
