"""Starts HAProxy anew when it dies while its owner is dead too. A program of its own, of the standard library alone.

Run as ``python keeper.py FOLDER COMMAND…``; it outlives its owner, as HAProxy does. As long as the owner lives (it holds
``owner.lock``) all is left to it. It ends by itself when the folder, or the pid file in it, is gone for some seconds.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LOOK_SECONDS = 1.0
"""How often the pid file is read again while the proxy lives: a successor has another pid."""
GONE_SECONDS = 5.0
_TICK = 0.05
_MOST_PAUSE = 5.0


def main(folder: Path, log_pipe: Path, log_variable: str, command: Sequence[str]) -> None:
    """Watch until there is nothing to watch any more."""
    seen, pause = time.monotonic(), _TICK
    while time.monotonic() - seen < GONE_SECONDS:
        pid = read_pid(folder / "haproxy.pid")
        if pid is None:
            time.sleep(_TICK)
            continue
        seen = time.monotonic()
        if lives(pid):
            pause = _TICK
        elif not revive(folder, pid, log_pipe, log_variable, command):
            time.sleep(pause)
            pause = min(pause * 1.5, _MOST_PAUSE) if owner_is_gone(folder) else _TICK


def read_pid(file: Path) -> int | None:
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def lives(pid: int) -> bool:
    """Wait for a moment, or until it ends; False when it has ended, or the number is another program's."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _is_haproxy(pid):
            return False
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return not poll.poll(LOOK_SECONDS * 1000)
    finally:
        os.close(fd)


def _is_haproxy(pid: int) -> bool:
    try:
        return b"haproxy" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def owner_is_gone(folder: Path) -> bool:
    try:
        fd = os.open(folder / "owner.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def revive(folder: Path, dead: int, log_pipe: Path, log_variable: str, command: Sequence[str]) -> bool:
    """Start the proxy, holding the owner's lock meanwhile. False when the owner lives, or it can't be started now."""
    try:
        fd = os.open(folder / "owner.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if read_pid(folder / "haproxy.pid") != dead:
            return True
        pipe = os.open(log_pipe, os.O_RDWR | os.O_NONBLOCK)
        try:
            done = subprocess.run(
                list(command),
                cwd="/",
                env={**os.environ, log_variable: str(pipe)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(pipe,),
                start_new_session=True,
                timeout=20,
                check=False,
            )
        finally:
            os.close(pipe)
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        os.close(fd)
    return done.returncode == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4:])
