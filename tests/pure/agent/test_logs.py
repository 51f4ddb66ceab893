"""The framing of an engine's log stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funai.agent.engine.logs import unframe


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
