"""Programs that outlive us: started once, found again by the next life, restarted when they die.

A daemon runs in a session of its own with a record beside it (pid, start time, fingerprint). After kill -9 of its owner
it goes on; the next owner adopts it when the fingerprint is unchanged, else replaces it. Its working directory is the
record's folder: what it drops there stays with us. Lifecycle: :meth:`ensure` → :meth:`watch` as a task → :meth:`stop`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from funai.base.aio import wait_any
from funai.base.observability import log
from funai.base.process.lifecycle import Change, emit
from funai.base.process.proc import base_environment
from funai.contracts.errors import ConfigError, NotReady

Ready = Callable[[], Awaitable[bool]]
LOG_LIMIT = 20_000_000
TICK = 0.02


@dataclass(frozen=True, slots=True)
class Program:
    """``config`` is the text of whatever configuration the program reads: a change of it means a new process."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    config: str = ""
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def fingerprint(self) -> str:
        text = json.dumps([self.argv, sorted(self.env.items()), self.config])
        return hashlib.sha256(text.encode()).hexdigest()


class Daemon:
    """One such program. ``ready`` must answer quickly whether it serves."""

    def __init__(self, program: Program, run_dir: Path, log_dir: Path, ready: Ready, *, ready_seconds: float = 15) -> None:
        self.program, self._ready, self._ready_seconds = program, ready, ready_seconds
        self._record = run_dir / f"{program.name}.json"
        self.log_file = log_dir / f"{program.name}.log"
        self._child: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.adopted = False

    async def ensure(self) -> None:
        """Adopt or start, and wait until it serves. Raises ConfigError with its last words."""
        self._record.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        pid, fingerprint = self._remembered()
        if pid and fingerprint == self.program.fingerprint and await self._ready():
            self.pid, self.adopted = pid, True
            return
        if pid:
            await _end(pid, 5, self.program.stop_signal)
        await self._start()

    async def _start(self) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as out:
            try:
                self._child = subprocess.Popen(  # noqa: ASYNC220  # detached: asyncio would own and kill it
                    self.program.argv,
                    env={**base_environment(), **self.program.env},
                    cwd=self._record.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            except (FileNotFoundError, PermissionError) as e:
                raise ConfigError([f"{self.program.argv[0]} can't be started: {e.strerror}; run `make setup`"]) from e
        self.pid, self.adopted = self._child.pid, False
        record = {"pid": self.pid, "started": start_time(self.pid), "fingerprint": self.program.fingerprint}
        self._record.write_text(json.dumps(record))
        deadline = time.monotonic() + self._ready_seconds
        while not await self._ready():
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise NotReady([f"{self.program.name} did not come up: {self._last_words()}"])
            await asyncio.sleep(TICK)

    async def watch(self, stop: asyncio.Event, died: Callable[[], Awaitable[None]] | None = None) -> None:
        """Restart it whenever it dies, with backoff, until ``stop``. ``died`` runs after each restart."""
        pause = 0.1
        while not stop.is_set():
            began = time.monotonic()
            await self._gone(stop)
            if stop.is_set():
                return
            log.get("daemon").warning("daemon.died", program=self.program.name, pid=self.pid)
            emit(self.program.name, Change.DIED)
            try:
                await self._start()
                emit(self.program.name, Change.BACK)
                if died:
                    await died()
            except ConfigError as e:
                log.get("daemon").error("daemon.restart_failed", program=self.program.name, error=str(e))
                emit(self.program.name, Change.FAILED, str(e))
            pause = 0.1 if time.monotonic() - began > 30 else min(pause * 2, 10)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()

    async def stop(self, grace: float = 10) -> None:
        """Its stop signal, SIGKILL after ``grace`` seconds; forget it."""
        if self.pid:
            await _end(self.pid, grace, self.program.stop_signal)
        if self._child:
            await asyncio.to_thread(self._child.wait)
        self._record.unlink(missing_ok=True)
        self.pid = 0

    async def _gone(self, stop: asyncio.Event) -> None:
        """Return when the process has ended or ``stop`` is set, without polling."""
        ended = asyncio.Event()
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, ended.set)
        try:
            await wait_any(ended, stop)
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        if self._child and not stop.is_set():
            self._child.poll()

    def _remembered(self) -> tuple[int, str]:
        """(pid, fingerprint) of a former life that still runs, else (0, "")."""
        try:
            record = json.loads(self._record.read_text())
            pid, started = int(record["pid"]), str(record["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""
        return (pid, str(record.get("fingerprint"))) if started and start_time(pid) == started else (0, "")

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = self.log_file.read_text(errors="replace").strip().splitlines()
            if lines:
                return " | ".join(lines[-3:])[-600:]
        return f"nothing in {self.log_file}"


async def keep_up(daemons: Sequence[Daemon], teardown: AsyncExitStack) -> None:
    """Have them all run, and watched until ``teardown`` ends them. Raises ConfigError when one can't start.

    What did start ends with ``teardown`` then too: nothing outlives a start that failed or was interrupted.
    """
    quiet = asyncio.Event()
    watches: list[asyncio.Task[None]] = []

    async def end() -> None:
        quiet.set()
        await asyncio.gather(*watches, return_exceptions=True)
        await asyncio.gather(*(d.stop() for d in daemons))

    teardown.push_async_callback(end)
    for failed in await asyncio.gather(*(d.ensure() for d in daemons), return_exceptions=True):
        if failed is not None:
            raise failed
    watches += [asyncio.create_task(d.watch(quiet)) for d in daemons]


def start_time(pid: int) -> str:
    """The kernel's start time of a process (ticks since boot), "" when it's gone or a zombie: tells a reused pid apart.

    A zombie whose other threads still end isn't gone: until they have, its sockets go on listening.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    state, threads, started = fields[0], int(fields[17]), fields[19]
    return "" if state in ("Z", "X") and threads <= 1 else started


async def _end(pid: int, grace: float, first: signal.Signals) -> None:
    was = start_time(pid)
    deadline = time.monotonic() + grace
    for sig in (first, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, sig)
        while was and start_time(pid) == was and time.monotonic() < deadline:  # noqa: ASYNC110  # another life's child
            await asyncio.sleep(TICK)
        if start_time(pid) != was:
            return
        deadline = time.monotonic() + 5
