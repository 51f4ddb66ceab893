"""Exactly the kept capabilities remain, and an ordinary user gets none of root's."""

from __future__ import annotations

from funai.agent.engine.capabilities import ALL, changes


def test_what_is_kept_is_neither_dropped_nor_handed_to_ordinary_users() -> None:
    drop, add = changes(["CHOWN", "SETUID", "NET_BIND_SERVICE"])
    assert set(drop) == ALL - {"CHOWN", "SETUID", "NET_BIND_SERVICE"}
    assert add == ["NET_BIND_SERVICE"]


def test_what_no_engine_gives_by_itself_is_added() -> None:
    assert changes(["SYS_NICE"])[1] == ["SYS_NICE"]


def test_nothing_kept_is_nothing_left() -> None:
    assert changes([]) == (sorted(ALL), [])
