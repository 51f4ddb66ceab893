"""The framing of an engine's log stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funai.agent.engine.logs import LastLines, unframe


def frame(payload: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.binary(max_size=40)), st.integers(min_value=1, max_value=17))
def test_payloads_come_out_whole_however_the_stream_is_cut(payloads: list[bytes], step: int) -> None:
    wire, buffer, out = b"".join(map(frame, payloads)), bytearray(), b""
    for at in range(0, len(wire), step):
        buffer += wire[at : at + step]
        out += unframe(buffer)
    assert out == b"".join(payloads)
    assert not buffer


def test_half_a_frame_waits() -> None:
    buffer = bytearray(frame(b"hello")[:-1])
    assert unframe(buffer) == b""
    buffer += b"o"
    assert unframe(buffer) == b"hello"


def last(wire: bytes, count: int, step: int = 7) -> bytes:
    lines = LastLines(count)
    for at in range(0, len(wire), step):
        lines.feed(wire[at : at + step])
    return lines.end()


def test_pieces_of_a_line_stay_together_beside_another_streams() -> None:
    wire = frame(b"one\n") + frame(b"sh: 1: ", 2) + frame(b"two\n") + frame(b"nodemon: not found\n", 2)
    assert last(wire, 20) == b"one\ntwo\nsh: 1: nodemon: not found\n"
    assert last(wire, 1) == b"sh: 1: nodemon: not found\n"
    assert last(wire, 0) == b""


def test_a_line_without_an_end_is_the_last() -> None:
    assert last(frame(b"a\nb") + frame(b"c\n", 2), 2) == b"c\nb"


@given(st.lists(st.binary(max_size=40)), st.integers(min_value=1, max_value=17), st.integers(min_value=0, max_value=5))
def test_the_last_lines_are_those_of_the_whole(payloads: list[bytes], step: int, count: int) -> None:
    whole = b"".join(payloads).split(b"\n")
    lines = [line + b"\n" for line in whole[:-1]] + [whole[-1]] * bool(whole[-1])
    assert last(b"".join(map(frame, payloads)), count, step) == b"".join(lines[max(0, len(lines) - count) :] if count else [])
