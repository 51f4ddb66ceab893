"""One foreground program under test: started, waited for, stopped, killed, started again; its output kept in a file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.parts.waiting import Deadline, wait_until

_PR_SET_PDEATHSIG = 1


class Daemon:
    """A program that stays in the foreground.

    ``argv``/``env`` are values or functions of nothing (asked at every start), ``ready`` says when it serves,
    ``user`` is the account to run as when the tests run as root. It leads its own process group, and dies with the
    test process even if that is killed with -9. ``kill_children`` also kills children that made groups of their own
    (PostgreSQL's backends, which would hold its shared memory for a moment longer).
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        start_seconds: float = 30,
        stop_seconds: float = 15,
        kill_children: bool = False,
    ) -> None:
        self.name, self.argv, self.log, self.ready = name, [str(a) for a in argv], log, ready
        self.env, self.cwd, self.user = env, cwd or log.parent, user  # what a part drops stays with its log
        self.stop_signal, self.start_seconds, self.stop_seconds = stop_signal, start_seconds, stop_seconds
        self.kill_children = kill_children
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not started"
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it serves. Raises Deadline with the end of its log when it exits or doesn't answer."""
        assert not self.running, f"{self.name} already runs"
        account = pwd.getpwnam(self.user) if self.user and os.geteuid() == 0 else None
        # The death signal belongs to the thread that forks: from a worker thread it would come when that thread ends.
        dies_with_us = threading.current_thread() is threading.main_thread()
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(self.env) if self.env is not None else None,
                cwd=self.cwd,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_die_with_parent if dies_with_us else None,
            )
        try:
            wait_until(
                lambda: not self.running or self.ready(),
                seconds=self.start_seconds,
                what=f"{self.name} serves",
            )
        except Deadline as e:
            self.kill()
            raise Deadline(f"{e}\n{self.tail()}") from None
        if not self.running:
            raise Deadline(f"{self.name} exited with {self._process.returncode}\n{self.tail()}")

    def stop(self) -> None:
        """Ask it to end, wait, and kill what is left of its group. Idempotent."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.stop_seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, and reap it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        children = _children(process.pid) if self.kill_children else []
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        wait_until(lambda: not any(map(_alive, children)), seconds=10, what=f"{self.name}'s children end")

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it holds its connections and answers nothing."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def tail(self, lines: int = 40) -> str:
        """The end of its output, for a failure's report."""
        if not self.log.exists():
            return f"--- {self.name}: no output"
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- end of {self.name}'s log", *text])


def _children(pid: int) -> list[int]:
    """Direct children, whatever group they are in."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def _alive(pid: int) -> bool:
    """False when the process is gone or only waits to be reaped (by init, that is: it was never ours)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
