"""HAProxy's process: started apart from us, found again by the next owner, replaced without a lost connection.

It daemonizes itself (``-D``), so it has no parent of ours and no kill of its owner reaches it. Who it is, is read from the
process itself: the pid file and ``/proc`` say where it is, ``show info`` says which configuration it runs.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from funai.base.process import ports
from funai.base.process.daemon import Daemon, Program, start_time
from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, base_environment, run
from funai.contracts.routes import GatewayError
from funai.gateway.haproxy import keeper
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError

START_SECONDS = 20.0
PIPE_BYTES = 1024 * 1024
"""Size requested for the access log's pipe: what is kept of it while no process reads."""
_TICK = 0.02


@dataclass(frozen=True, slots=True)
class Paths:
    config: Path
    pid_file: Path
    admin_socket: Path
    log_pipe: Path
    start_log: Path


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that answers: its pid and the identity its configuration carries."""

    pid: int
    identity: str


class HaproxyProcess:
    """Starts, finds, replaces and ends the one HAProxy that runs ``paths.config``. Calls must not overlap."""

    def __init__(self, binary: str, paths: Paths, log_variable: str) -> None:
        self._binary, self._paths, self._log_variable = binary, paths, log_variable

    def keeper(self) -> Daemon:
        """The program that restarts this proxy when nothing else does."""
        p = self._paths
        command = (self._binary, "-D", "-f", str(p.config), "-p", str(p.pid_file))
        watched = (str(p.config.parent), str(p.log_pipe), self._log_variable)
        argv = (sys.executable, "-I", "-S", keeper.__file__, *watched, *command)
        return Daemon(Program("keeper", argv, {}), p.admin_socket.parent, p.config.parent, _at_once)

    async def version(self) -> str:
        """The first line of ``haproxy -v``. Raises GatewayError when it can't be run."""
        try:
            done = await run(Command((self._binary, "-v")), timeout=10)
        except (ProcessMissing, ProcessTimeout) as e:
            raise GatewayError(f"HAProxy can't be run: {e}") from e
        return done.text.splitlines()[0] if done.text else "unknown"

    async def find(self) -> Running | None:
        """The proxy that runs and answers, else None."""
        if not self._paths.admin_socket.exists():
            return None
        api = RuntimeApi(self._paths.admin_socket, timeout=2)
        try:
            answer = await api.ask("show info")
        except RuntimeApiError:
            return None
        finally:
            api.close()
        info = {name: value for name, _, value in (line.partition(": ") for line in answer.splitlines())}
        pid = int(info.get("Pid", "0"))
        if pid not in self.pids():
            return None
        return Running(pid, info.get("description", ""))

    async def answers(self) -> bool:
        """Whether the proxy says something within a second."""
        api = RuntimeApi(self._paths.admin_socket, timeout=1)
        try:
            return bool(await api.ask("show info"))
        except RuntimeApiError:
            return False
        finally:
            api.close()

    def pids(self) -> list[int]:
        """Every HAProxy of this configuration, replaced ones that still drain included."""
        mine = str(self._paths.config).encode()
        found: list[int] = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                if mine in argv and b"-D" in argv and os.path.basename(argv[0]).startswith(b"haproxy"):
                    found.append(int(entry.name))
        return [pid for pid in found if start_time(pid)]

    async def start(self) -> int:
        """Start a new proxy; returns its pid once it listens. Raises GatewayError that says what is wrong."""
        return await self._launch(())

    async def replace(self, old: int) -> int:
        """Start a new proxy that takes over the listening sockets of ``old``, which then finishes its open connections."""
        return await self._launch(("-x", str(self._paths.admin_socket), "-sf", str(old)))

    async def _launch(self, extra: tuple[str, ...]) -> int:
        p = self._paths
        argv = (self._binary, "-D", "-f", str(p.config), "-p", str(p.pid_file), *extra)
        code, words = await _to_its_end(asyncio.create_task(asyncio.to_thread(self._run_to_fork, argv)))
        if code != 0:
            raise GatewayError(f"HAProxy did not start: {_last_words(words)}")
        pid = int(p.pid_file.read_text().split()[0])
        await self._answers(pid)
        return pid

    def _run_to_fork(self, argv: tuple[str, ...]) -> tuple[int, str]:
        """Run until the parent half has exited: by then the sockets are bound, or stderr says why not.

        stderr is a file, not a pipe: the daemon half inherits it.
        """
        pipe = open_pipe(self._paths.log_pipe)
        try:
            with self._paths.start_log.open("wb") as err:
                done = subprocess.run(
                    argv,
                    cwd="/",
                    env={**base_environment(), self._log_variable: str(pipe)},
                    stdin=subprocess.DEVNULL,
                    stdout=err,
                    stderr=err,
                    pass_fds=(pipe,),
                    start_new_session=True,
                    timeout=START_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return 1, "it took too long"
        except OSError as e:
            return 1, f"{argv[0]}: {e.strerror}"
        finally:
            os.close(pipe)
        return done.returncode, self._paths.start_log.read_text(errors="replace")

    async def _answers(self, pid: int) -> None:
        deadline = time.monotonic() + 5
        while True:
            found = await self.find()
            if found and found.pid == pid:
                return
            if not start_time(pid) or time.monotonic() > deadline:
                raise GatewayError("HAProxy ended right after it started, or does not answer on its admin socket")
            await asyncio.sleep(_TICK)

    def drain(self) -> None:
        """No new connections from now on; a proxy ends when its last one does."""
        _signal(self.pids(), signal.SIGUSR1)

    async def end(self) -> None:
        """End every proxy of ours at once."""
        pids = self.pids()
        for sig, seconds in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
            _signal(pids, sig)
            async with asyncio.TaskGroup() as group:
                for pid in pids:
                    group.create_task(exited(pid, seconds))
            pids = [pid for pid in pids if start_time(pid)]
            if not pids:
                break
        self._paths.pid_file.unlink(missing_ok=True)
        self._paths.admin_socket.unlink(missing_ok=True)


async def _at_once() -> bool:
    return True


def _signal(pids: list[int], sig: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, sig)


def check_listeners(listeners: list[tuple[str, int]]) -> None:
    """Raises GatewayError that names the port and its holder, before HAProxy says it less clearly."""
    for host, port in listeners:
        if ports.is_free(host, port):
            continue
        who = ports.holder(port)
        if who:
            raise GatewayError(f"port {port} is taken by {who}; stop it, or set another gateway.port (gateway.https-port)")
        why = "ports below 1024 need root" if port < 1024 and os.geteuid() else f"{host} is not an address of this machine"
        raise GatewayError(f"{host}:{port} can't be listened on: {why}")


def open_pipe(path: Path) -> int:
    """The access log's named pipe, made if need be, open for reading and writing: so neither end ever sees the other close."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with suppress(OSError):  # where the system allows no more, the default must do
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return fd


def cpu_time(pid: int) -> str:
    """How much of the processors a process has had, in the kernel's words; empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return " ".join(fields[11:13])


async def exited(pid: int, timeout: float | None = None) -> bool:
    """Wait for a process that need not be our child; False when it is still there after ``timeout`` seconds."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(fd, ended.set)
    try:
        async with asyncio.timeout(timeout):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return True


async def _to_its_end(task: asyncio.Task[tuple[int, str]]) -> tuple[int, str]:
    """Wait even when cancelled: a start that was begun must not leave a process that is not recorded."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _last_words(text: str) -> str:
    """HAProxy's alerts without their frame; all of its words when there is none."""
    alerts = [line.partition(" : ")[2] for line in text.splitlines() if line.startswith("[ALERT]")]
    return "; ".join(alerts or text.splitlines()[-3:])[:600] or "it said nothing"
