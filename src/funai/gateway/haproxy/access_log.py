"""The access log: what HAProxy writes into its pipe becomes a JSON-lines file of bounded size, and counters.

A line from HAProxy is ``<epoch>.<ms> <app or -> <status> <bytes in> <bytes out> <ms>|<rest of a JSON object>``: the
numbers can be counted without parsing JSON, and the JSON is passed on without rebuilding it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from funai.base.observability import log
from funai.gateway.haproxy.process import open_pipe

_READ = 256 * 1024
_READS_A_WAKE = 4
_LINE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it is counted. ``app_id`` is None for what reached no app; times in milliseconds."""

    at: float
    app_id: int | None
    status: int
    bytes_in: int
    bytes_out: int
    ms: int
    rest: bytes


def parse_line(line: bytes) -> Seen | None:
    """None for anything else that the proxy has to say."""
    head, bar, rest = line.partition(b"|")
    words = head.split(b" ")
    if not bar or len(words) != 6 or not rest.endswith(b"}"):
        return None
    try:
        app = None if words[1] == b"-" else int(words[1])
        status, taken, given, ms = (max(0, int(w)) for w in words[2:])
        return Seen(float(words[0]), app, status, taken, given, ms, rest)
    except ValueError:
        return None


def json_line(seen: Seen) -> bytes:
    """The line of the file: one JSON object. Byte counts include heads; ``ms`` is the whole time of the request."""
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seen.at))
    app = b"null" if seen.app_id is None else b"%d" % seen.app_id
    return b'{"time":"%s.%03dZ","appId":%s,"status":%d,"bytesIn":%d,"bytesOut":%d,"ms":%d,%s\n' % (
        second.encode(),
        int(seen.at * 1000) % 1000,
        app,
        seen.status,
        seen.bytes_in,
        seen.bytes_out,
        seen.ms,
        seen.rest,
    )


class RotatedFile:
    """Appends; past ``limit`` bytes the file becomes ``name.1``, that ``name.2``, and the oldest goes."""

    def __init__(self, path: Path, limit: int, keep: int) -> None:
        self._path, self._limit, self._keep = path, limit, keep
        self._fd, self._size = -1, 0

    def append(self, data: bytes) -> None:
        """Raises OSError; the next call tries to open the file again."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._size = os.fstat(self._fd).st_size
        if self._size and self._size + len(data) > self._limit:
            self._rotate()
        self._size += os.write(self._fd, data)

    def _rotate(self) -> None:
        self.close()
        for n in range(self._keep, 0, -1):
            older = self._path if n == 1 else self._path.with_name(f"{self._path.name}.{n - 1}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{n}"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        self._fd, self._size = os.open(self._path, flags, 0o640), 0

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class AccessLog:
    """Reads the pipe on the event loop, in batches. Lifecycle: :meth:`start` → :meth:`close`.

    ``count`` gets every request; ``file`` None keeps no file. What the proxy writes while no process reads waits in the
    pipe (1 MiB); past that it drops lines, never requests.
    """

    def __init__(self, pipe: Path, file: RotatedFile | None, count: Callable[[Seen], None]) -> None:
        self._pipe, self._file, self._count = pipe, file, count
        self._fd = -1
        self._partial = b""
        self._complained = False

    def start(self) -> None:
        self._fd = open_pipe(self._pipe)
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def close(self) -> None:
        """Take in what is there, then stop. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        asyncio.get_running_loop().remove_reader(fd)
        self._drain(fd)
        os.close(fd)
        if self._file:
            self._file.close()

    def _readable(self) -> None:
        self._drain(self._fd)

    def _drain(self, fd: int) -> None:
        for _ in range(_READS_A_WAKE):
            try:
                data = os.read(fd, _READ)
            except BlockingIOError:
                return
            if not data:
                return
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the pipe."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LINE_LIMIT:
            self._partial = b""
        out: list[bytes] = []
        for line in lines:
            seen = parse_line(line)
            if seen is not None:
                self._count(seen)
                out.append(json_line(seen))
            elif line:
                log.get("haproxy").debug("haproxy.says", line=line.decode("utf-8", "replace")[:1000])
        if out and self._file:
            self._write(b"".join(out))

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._file.append(data)
            self._complained = False
        except OSError as e:
            if not self._complained:
                log.get("gateway").error("gateway.access_log_failed", error=str(e))
            self._complained = True
