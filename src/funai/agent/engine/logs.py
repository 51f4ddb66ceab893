"""A container's output, out of the frames in which engines send it. Pure."""

from __future__ import annotations

from collections import deque

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


class LastLines:
    """The last ``count`` lines of a framed log. Lines of stdout and stderr are put together apart, in the order of their ends.

    Podman 4.3 answers ``tail`` with pieces of lines in a wrong order, so all of a log is read and counted here.
    """

    def __init__(self, count: int) -> None:
        self._lines: deque[bytes] = deque(maxlen=count)
        self._buffer = bytearray()
        self._open: dict[int, bytes] = {}

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[4:HEADER], "big")
            if len(self._buffer) < HEADER + length:
                return
            stream, payload = self._buffer[0], bytes(self._buffer[HEADER : HEADER + length])
            del self._buffer[: HEADER + length]
            *whole, rest = (self._open.get(stream, b"") + payload).split(b"\n")
            self._lines.extend(line + b"\n" for line in whole)
            self._open[stream] = rest

    def end(self) -> bytes:
        """The lines, with what each stream wrote without a line's end behind them."""
        self._lines.extend(rest for _, rest in sorted(self._open.items()) if rest)
        return b"".join(self._lines)
