from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funai.cli.output.loglines import Lines
from funai.cli.sse import Decoder, Event


def decoded(text: str) -> list[Event]:
    decoder = Decoder()
    return [event for line in text.split("\n") if (event := decoder.feed(line))]


def test_events_with_names_ids_and_several_data_lines() -> None:
    text = 'retry: 2000\n\n: alive\n\nevent: log\nid: 12\ndata: {"a":1}\n\ndata:x\ndata: y\n\nevent: end\ndata: {}\n\n'
    assert decoded(text) == [Event('{"a":1}', "log", "12"), Event("x\ny", "message", "12"), Event("{}", "end", "12")]


def test_an_unfinished_event_is_not_told() -> None:
    assert decoded("event: log\ndata: half") == []


def test_lines_come_whole_however_they_were_cut() -> None:
    lines = Lines()
    assert lines.feed("one\ntw") == ["one"]
    assert lines.feed("o\r\nthree") == ["two"]
    assert lines.rest() == ["three"]
    assert lines.rest() == []


def test_a_redrawn_line_shows_its_last_state() -> None:
    assert Lines().feed(" 10%\r 50%\r100%\ndone\n") == ["100%", "done"]


@given(st.text(alphabet="ab\n", max_size=60), st.integers(1, 7))
def test_no_cut_loses_or_adds_a_line(text: str, size: int) -> None:
    lines = Lines()
    seen = [line for i in range(0, len(text), size) for line in lines.feed(text[i : i + size])] + lines.rest()
    expected = text.split("\n")
    assert seen == (expected[:-1] if expected[-1] == "" else expected)
