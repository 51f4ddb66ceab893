"""A container's output, out of the frames in which engines send it. Pure."""

from __future__ import annotations

HEADER = 8
"""Bytes before each piece of a log: the stream's number, three zeros, the length (big-endian)."""


def unframe(buffer: bytearray) -> bytes:
    """Takes the whole frames out of ``buffer``, leaves the rest; returns their payloads joined."""
    out = bytearray()
    while len(buffer) >= HEADER:
        length = int.from_bytes(buffer[4:HEADER], "big")
        if len(buffer) < HEADER + length:
            break
        out += buffer[HEADER : HEADER + length]
        del buffer[: HEADER + length]
    return bytes(out)
