"""The framing of an engine's log stream, and the log file that Podman keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from funai.agent.engine.logs import K8sLines, LastLines, read_file, unframe


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


def row(text: str, *, stream: str = "stdout", whole: bool = True) -> bytes:
    return f"2026-11-26T17:22:02.777077159+00:00 {stream} {'F' if whole else 'P'} {text}\n".encode()


@given(st.integers(min_value=1, max_value=300))
def test_pieces_of_lines_are_put_together_by_stream_however_the_file_is_read(step: int) -> None:
    rows = [row("one"), row("sh: 1: ", stream="stderr", whole=False), row("two"), row("x" * 40, whole=False)]
    rows += [row("nodemon: not found", stream="stderr"), row("y"), row(""), row("50%\r100%", whole=False)]
    text = b"".join(rows)
    lines = K8sLines()
    out = [line for at in range(0, len(text), step) for line in lines.feed(text[at : at + step])]
    assert out == [b"one\n", b"two\n", b"sh: 1: nodemon: not found\n", b"x" * 40 + b"y\n", b"\n"]
    assert lines.end() == [b"50%\r100%"]


def test_a_line_without_end_is_given_out_in_pieces() -> None:
    lines = K8sLines()
    piece = "z" * (K8sLines.LONGEST // 2)
    assert lines.feed(row(piece, whole=False)) == []
    assert lines.feed(row(piece, whole=False)) == [piece.encode() * 2]
    assert lines.feed(row("end")) == [b"end\n"]


async def test_follow_loses_no_line_where_the_file_is_begun_anew(tmp_path: Path) -> None:
    file, alive = tmp_path / "ctr.log", asyncio.Event()
    alive.set()
    file.write_bytes(b"".join(row(f"n={n}") for n in range(3)))

    async def running() -> bool:
        return alive.is_set()

    followed: AsyncIterator[bytes] = read_file(file, tail=2, follow=True, running=running)
    assert await anext(followed) == b"n=1\nn=2\n"
    with file.open("ab") as old:
        old.write(row("n=3"))
        fresh = tmp_path / "ctr.log.tmp"
        fresh.write_bytes(row("n=4"))
        fresh.rename(file)
        old.write(row("n=5"))
    got = await anext(followed)
    while got.count(b"\n") < 3:
        got += await anext(followed)
    assert sorted(got.split()) == [b"n=3", b"n=4", b"n=5"]
    with file.open("ab") as on:
        on.write(row("half", whole=False))
    alive.clear()
    assert [piece async for piece in followed] == [b"half"]


async def test_tail_without_follow_ends_with_what_has_no_end_yet(tmp_path: Path) -> None:
    file = tmp_path / "ctr.log"
    file.write_bytes(row("a") + row("b") + row("c", whole=False))

    async def running() -> bool:
        raise AssertionError

    assert [piece async for piece in read_file(file, tail=2, follow=False, running=running)] == [b"b\nc"]
    assert [piece async for piece in read_file(file, tail=None, follow=False, running=running)] == [b"a\nb\nc"]
