"""Routes as map entries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts.routes import Route, RouteState
from funai.gateway.haproxy.routemap import (
    Change,
    Edit,
    edits,
    entries,
    parse_entry,
    parse_file,
    parse_show_map,
    payloads,
    render_file,
    value_of,
)

ROUTES = st.builds(
    lambda app_id, state, host, port, generation: Route(
        app_id, state, host if state is RouteState.SERVING else "", port if state is RouteState.SERVING else 0, generation
    ),
    st.integers(1, 2**63 - 1),
    st.sampled_from(RouteState),
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(1, 65535),
    st.integers(0, 2**63 - 1),
)
TABLES = st.dictionaries(st.integers(1, 50).map(str), st.sampled_from(["a", "b", "c"]))


@given(ROUTES)
def test_an_entry_reads_back_as_its_route(route: Route) -> None:
    ((key, value),) = entries([route]).items()
    assert parse_entry(key, value) == route
    assert " " not in value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("1", ""),
        ("1", "s/10.0.0.1/3000"),
        ("1", "s/10.0.0.1/0/1"),
        ("1", "s/nowhere/3000/1"),
        ("1", "q/-/0/1"),
        ("x", "x/-/0/0"),
        ("01", "x/-/0/0"),
        ("-1", "x/-/0/0"),
        ("0", "x/-/0/0"),
        ("1", "s/10.0.0.1/3000/1/more"),
        ("1", "x/10.0.0.1/0/0"),
    ],
)
def test_what_is_not_an_entry_of_ours_is_no_route(key: str, value: str) -> None:
    assert parse_entry(key, value) is None


@pytest.mark.parametrize(
    "route",
    [Route(0, RouteState.STOPPED), Route(1, host="", port=80), Route(1, host="a b", port=80), Route(1, host="::1", port=0)],
)
def test_a_route_that_leads_nowhere_is_refused(route: Route) -> None:
    with pytest.raises(ValueError, match=r".+"):
        value_of(route)


@given(st.dictionaries(st.integers(1, 99), ROUTES, max_size=20))
def test_the_file_reads_back_in_the_same_boot_and_loses_its_addresses_in_another(table: dict[int, Route]) -> None:
    routes = {r.app_id: r for r in table.values()}
    text = render_file(entries(routes.values()), "boot-1")
    assert parse_file(text, "boot-1") == routes
    later = parse_file(text, "boot-2")
    assert later.keys() == routes.keys()
    for app_id, route in later.items():
        stopped = routes[app_id].state is RouteState.STOPPED
        assert route.state is (RouteState.STOPPED if stopped else RouteState.STARTING)
        assert (route.host, route.port) == ("", 0)


def test_a_torn_file_gives_what_is_whole() -> None:
    assert parse_file("# boot b\n1 s/10.0.0.1/80/3\n2 s/10.0.0", "b") == {1: Route(1, host="10.0.0.1", port=80, generation=3)}
    assert parse_file("", "b") == {}
    assert parse_file("1 s/10.0.0.1/80/3\n", "b") == {1: Route(1, RouteState.STARTING, generation=3)}


@given(TABLES, TABLES)
def test_edits_turn_one_table_into_the_other(have: dict[str, str], want: dict[str, str]) -> None:
    table = dict(have)
    todo = edits(have, want)
    for edit in todo:
        if edit.change is Change.DEL:
            del table[edit.key]
        else:
            assert (edit.key in table) == (edit.change is Change.SET)
            table[edit.key] = edit.value
    assert table == want
    kinds = [e.change is Change.DEL for e in todo]
    assert kinds == sorted(kinds, reverse=True)
    assert edits(want, want) == []


def test_commands() -> None:
    assert Edit(Change.SET, "1", "x/-/0/0").command("/m") == "set map /m 1 x/-/0/0"
    assert Edit(Change.ADD, "1", "x/-/0/0").command("/m") == "add map /m 1 x/-/0/0"
    assert Edit(Change.DEL, "1").command("/m") == "del map /m 1"


@given(TABLES, st.integers(10, 60))
def test_payloads_hold_everything_once_and_are_small(table: dict[str, str], limit: int) -> None:
    made = payloads(table, limit)
    assert "".join(made) == "".join(f"{k} {v}\n" for k, v in table.items())
    assert all(0 < len(p) <= limit for p in made)


def test_show_map_is_read() -> None:
    answer = "0x55d0 1 s/10.0.0.1/3000/1\n0x55d1 2 x/-/0/0\n\n# nothing else"
    assert parse_show_map(answer) == {"1": "s/10.0.0.1/3000/1", "2": "x/-/0/0"}
    assert parse_show_map("") == {}
