"""What templates put into pages."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from funai.console.pages.admin import MOVE_KINDS
from funai.console.render import Pages, keep_returns
from funai.contracts.apps.moves import DrainKind, DrainProgress, DrainState, Move, MoveState
from funai.i18n.console import text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_log_text_keeps_its_carriage_returns_and_stays_text() -> None:
    assert keep_returns("10 %\r20 %\n</pre><b>&") == "10 %&#13;20 %\n&lt;/pre&gt;&lt;b&gt;&amp;"


def _drain_part(state: DrainState) -> str:
    """The part of a drain's page that changes, of a drain with a move in every state."""
    moves = [Move(app_id=n, source_node_id=1, target_node_id=2, state=s, updated_at=NOW) for n, s in enumerate(MOVE_KINDS, 1)]
    moves[0] = moves[0].model_copy(update={"reason": "<b>"})
    progress = DrainProgress(
        id=1,
        kind=DrainKind.DRAIN,
        state=state,
        source_node_id=1,
        moved=1,
        moving=1,
        waiting=1,
        failed=1,
        created_at=NOW,
        moves=moves,
    )
    values = {"node": {"id": 1}, "progress": progress, "moves": moves, "more": 2, "names": {2: "node-<2>"}, "kinds": MOVE_KINDS}
    known = {"t": partial(text, "en"), "language": "en", "nonce": "n", "form_token": "f"}
    return Pages().environment.get_template("admin_drain_state.html").render({**values, **known})


def test_drain_under_way_names_each_app_its_target_and_why_one_stays() -> None:
    part = _drain_part(DrainState.RUNNING)
    assert "App #4 → node-&lt;2&gt;" in part
    assert "App #1: &lt;b&gt;" in part
    assert '<progress max="4" value="1"' in part
    assert 'hx-get="/admin/nodes/1/drain/state"' in part
    assert "2 more apps" in part


def test_drain_that_ended_is_not_asked_for_again() -> None:
    part = _drain_part(DrainState.DONE)
    assert "hx-get" not in part
    assert "drain/cancel" not in part


@pytest.mark.parametrize("state", MoveState)
def test_every_state_of_a_move_has_a_badge(state: MoveState) -> None:
    assert state in MOVE_KINDS
