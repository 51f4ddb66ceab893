"""Appending to a log and cutting it, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts.errors import Conflict
from funai.deploy.logs.chunks import State, append, cut

FRESH = State(stored=0, next=0, attempt=1, capped=False)


def test_a_repeated_offset_changes_nothing() -> None:
    once = append(FRESH, 0, b"hello", 1000)
    again = append(once.state, 0, b"hello", 1000)
    assert (again.data, again.state) == (b"", once.state)


def test_an_overlap_appends_only_what_is_new() -> None:
    once = append(FRESH, 0, b"hello", 1000)
    assert append(once.state, 3, b"lo world", 1000).data == b" world"


def test_a_gap_is_refused() -> None:
    with pytest.raises(Conflict) as refused:
        append(FRESH, 5, b"x", 1000)
    assert refused.value.reason == "LOG_GAP"


def test_the_cap_leaves_a_mark_and_goes_on_counting() -> None:
    full = append(FRESH, 0, "日".encode() * 100, 100)
    kept, _, mark = full.data.decode().partition("\n")
    assert kept == "日" * 33
    assert "100" in mark
    assert full.state.capped
    later = append(full.state, 300, b"more", 100)
    assert (later.data, later.state.next) == (b"", 304)


def test_a_later_attempt_begins_with_a_line_that_says_so() -> None:
    second = append(State(stored=5, next=0, attempt=2, capped=False), 0, b"x", 1000)
    assert second.data.decode().endswith("attempt 2 ---\nx")
    assert (second.state.next, second.state.stored) == (1, 5 + len(second.data))


@given(st.text(max_size=200), st.integers(16, 64))
def test_slices_are_whole_characters_and_add_up(text: str, limit: int) -> None:
    data, at, out = text.encode("utf-8", "replace"), 0, ""
    while at < len(data):
        piece = cut(data[at : at + limit], limit, more=at + limit < len(data))
        assert piece
        out += piece.decode()
        at += len(piece)
    assert out == data.decode()
