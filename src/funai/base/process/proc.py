"""The one door to child processes: argv only, own process group, bounded time and output.

There is no way to pass a shell string. Cancelling the awaiting task, a timeout or :meth:`Child.kill` ends the whole group.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from funai.base import proxies

READ_SIZE = 64 * 1024
_LAST_WORDS = 400
"""Characters of a failed program's output that its error quotes."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, as a plain value that tests can compare. ``env`` is added to a minimal base environment."""

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    umask: int = -1
    """Of the program's; -1: this process's."""


@dataclass(frozen=True, slots=True)
class Finished:
    """``code`` is the exit status, negative for a signal. Output is bytes as they came, cut at the limit."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace").strip()

    @property
    def error_text(self) -> str:
        return (self.err or self.out).decode("utf-8", "replace").strip()


class ProcessTimeout(Exception):
    """The command ran longer than it was given; its whole group was killed."""


class ProcessMissing(Exception):
    """The program is not installed or may not be executed."""


_KEPT_ENV = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "CONTAINERS_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_HOST",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


def base_environment() -> dict[str, str]:
    """What a child inherits: where programs, proxies and certificates are, and nothing of our secrets."""
    return {k: v for k, v in os.environ.items() if k in _KEPT_ENV} | proxies.for_children()


class Child:
    """A running child in its own session. Leave it through :func:`spawn`'s context: then nothing of it survives."""

    def __init__(self, process: asyncio.subprocess.Process, transport: asyncio.SubprocessTransport) -> None:
        self.process = process
        self._transport = transport

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal_group(self, sig: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, sig)

    async def stop(self, grace: float = 5.0) -> int:
        """SIGTERM to the group, SIGKILL after ``grace`` seconds; returns the exit status."""
        if self.process.returncode is None:
            self.signal_group(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace):
                    await self.process.wait()
            except TimeoutError:
                pass
        return await self.kill()

    async def kill(self) -> int:
        """SIGKILL to the whole group (also to children that outlived their parent), then reap."""
        self.signal_group(signal.SIGKILL)
        await self._reaped()
        # wait() also waits for the ends of the pipes, which never come while nothing reads them or a process outside the
        # group holds them.
        self._transport.close()
        return await self.process.wait()

    async def _reaped(self) -> None:
        """Until asyncio's watcher has the exit status. A transport closed before that polls by itself and takes the status
        away from the watcher, which then warns of an unknown child and reports 255.
        """
        pause = 0.001
        while self.process.returncode is None and pause < 1:
            await asyncio.sleep(pause)
            pause *= 1.5


@asynccontextmanager
async def spawn(
    command: Command, *, stdin: int | None = None, stdout: int | None = None, stderr: int | None = None
) -> AsyncIterator[Child]:
    """Start the command in a group of its own; on leaving, whatever is left of the group is killed."""
    loop = asyncio.get_running_loop()
    try:
        # As ``asyncio.create_subprocess_exec`` does it, which keeps the transport to itself.
        transport, protocol = await loop.subprocess_exec(
            lambda: asyncio.subprocess.SubprocessStreamProtocol(limit=READ_SIZE, loop=loop),
            *command.argv,
            cwd=command.cwd,
            env={**base_environment(), **(command.env or {})},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
            stderr=asyncio.subprocess.PIPE if stderr is None else stderr,
            start_new_session=True,
            umask=command.umask,
        )
    except (FileNotFoundError, PermissionError) as e:
        raise ProcessMissing(f"{command.argv[0]}: {e.strerror}") from e
    child = Child(asyncio.subprocess.Process(transport, protocol, loop), transport)
    try:
        yield child
    finally:
        await asyncio.shield(child.kill())


async def run(command: Command, *, timeout: float, input: bytes | None = None, max_output: int = 4 * 1024 * 1024) -> Finished:
    """Run to the end. Raises ProcessTimeout after ``timeout`` seconds, ProcessMissing when it can't be started.

    Output past ``max_output`` bytes a stream is read and dropped, so that the child never blocks on it.
    """
    stdin = asyncio.subprocess.PIPE if input is not None else None
    try:
        async with asyncio.timeout(timeout), spawn(command, stdin=stdin) as child:
            p = child.process
            assert p.stdout is not None and p.stderr is not None
            out, err = bytearray(), bytearray()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_keep(p.stdout, out, max_output))
                tasks.create_task(_keep(p.stderr, err, max_output))
                if input is not None and p.stdin is not None:
                    tasks.create_task(_feed(p.stdin, input))
            code = await p.wait()
            return Finished(code, bytes(out), bytes(err))
    except TimeoutError as e:
        raise ProcessTimeout(f"{command.argv[0]} took longer than {timeout:g} s") from e


async def checked(
    command: Command, refused: Callable[[str], Exception], *, timeout: float, input: bytes | None = None
) -> Finished:
    """Run to the end. Raises ``refused(why)`` when it can't be started, takes too long or fails; ``why`` has its last words."""
    try:
        done = await run(command, timeout=timeout, input=input)
    except (ProcessMissing, ProcessTimeout) as e:
        raise refused(str(e)) from e
    if done.code:
        raise refused(f"{' '.join(command.argv)}: {done.error_text[-_LAST_WORDS:]}")
    return done


async def attached(command: Command) -> int:
    """Run with this process's own terminal, in its process group, for as long as the person takes; the exit status.

    Its standard output goes to our standard error, so that ours keeps the answer alone. Raises ProcessMissing.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv, cwd=command.cwd, env={**base_environment(), **(command.env or {})}, stdout=sys.stderr
        )
    except (FileNotFoundError, PermissionError) as e:
        raise ProcessMissing(f"{command.argv[0]}: {e.strerror}") from e
    return await process.wait()


async def pump(stream: asyncio.StreamReader, sink: Callable[[bytes], Awaitable[None]]) -> None:
    """Hand everything the stream gives to ``sink``, in pieces of at most 64 KiB, until it closes."""
    while piece := await stream.read(READ_SIZE):
        await sink(piece)


async def _keep(stream: asyncio.StreamReader, kept: bytearray, limit: int) -> None:
    while piece := await stream.read(READ_SIZE):
        kept.extend(piece[: max(0, limit - len(kept))])


async def _feed(stdin: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(data)
        await stdin.drain()
    stdin.close()
