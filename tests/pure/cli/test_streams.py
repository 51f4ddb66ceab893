from __future__ import annotations

import pytest
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


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mred\x1b[0m \x1b[1;4mbold\x1b[m", "\x1b[31mred\x1b[0m \x1b[1;4mbold\x1b[m"),
        ("a\x1b]0;a title\x07b\x1b]52;c;aGk=\x1b\\c", "abc"),
        ("un\x00der\x07 \x08\x7f\x9b5n\ttab", "under 5n\ttab"),
        ("\x1b[2J\x1b[10;10H\x1b[?1049hhere\x1bc", "here"),
        ("\x1bPdevice\x1b\\x\x90string\x9cy", "xy"),
        ("cut \x1b]0;short of its end", "cut "),
        ("10%\r\x1b[K100%", "100%"),
        ("\x1b", ""),
        ("中文 😀", "中文 😀"),
    ],
)
def test_lines_keep_colours_and_nothing_else_that_steers_a_terminal(said: str, shown: str) -> None:
    assert Lines().feed(f"{said}\n") == [shown]
