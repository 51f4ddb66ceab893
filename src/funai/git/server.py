"""The SSH server. One key → one user; one operation → one ``git upload-pack`` or ``git receive-pack`` child.

A connection may do nothing else: no shell, no forwarding, no sftp, no other command.
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections import Counter
from contextlib import suppress
from pathlib import Path

import asyncssh

from funai.base.observability import log
from funai.base.process.gitlimits import bounded
from funai.base.process.proc import Child, Command, pump, spawn
from funai.base.process.sshkeys import ensure_private_key, public_line
from funai.contracts.accounts import GitAccess
from funai.contracts.errors import ConfigError, FunaiError
from funai.git.access import Access
from funai.git.repos import DEFAULT_BRANCH, BareRepositories, check_repo
from funai.git.settings import GitSettings
from funai.i18n.git import told

SERVICES = {"git-upload-pack": False, "git-receive-pack": True}
"""Command → whether it writes."""
LFS = ("git-lfs-authenticate", "git-lfs-transfer")
HARMLESS = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)
"""Defects of old tools that git fsck names and every git reads well. What could harm a checkout stays refused."""
_PROTOCOL = re.compile(r"version=[0-2]")
MOST_SILENT = 1_000
REFUSED = 128
"""git's own exit status for a fatal error."""


class Refusal(Exception):
    """What the person at the terminal reads."""


def parse_request(command: str | None) -> tuple[str, str]:
    """``git-receive-pack 'funai/u1-app2.git'`` → (service, ``owner/name``). Raises Refusal."""
    if not command:
        raise Refusal(told("no_shell"))
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if len(words) == 3 and words[0] == "git":
        words = [f"git-{words[1]}", words[2]]
    if words and words[0] in LFS:
        raise Refusal(told("lfs"))
    if len(words) != 2 or words[0] not in SERVICES:
        raise Refusal(told("git_only"))
    repo = words[1].lstrip("/").removesuffix("/").removesuffix(".git")
    try:
        return words[0], check_repo(repo)
    except FunaiError as e:
        raise Refusal(told("unknown_repo")) from e


def service_command(service: str, path: Path, *, protocol: str | None, max_push: int) -> Command:
    """The child that talks git. Hooks and the repository's own alternates can't run anything of a tenant's."""
    config = ["-c", "core.hooksPath=/dev/null", "-c", "safe.directory=*"]
    if SERVICES[service]:
        config += [
            "-c",
            "receive.fsckObjects=true",
            "-c",
            f"receive.maxInputSize={max_push}",
            "-c",
            "receive.autogc=false",
            "-c",
            "receive.denyDeleteCurrent=warn",
            "-c",
            "transfer.hideRefs=refs/funai",
            "-c",
            "receive.shallowUpdate=true",
        ]
        config += [word for defect in HARMLESS for word in ("-c", f"receive.fsck.{defect}=ignore")]
    else:
        config += ["-c", "uploadpack.allowReachableSHA1InWant=true", "-c", "uploadpack.allowFilter=true"]
    env = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    if protocol and _PROTOCOL.fullmatch(protocol):
        env["GIT_PROTOCOL"] = protocol
    argv = ("git", *config, service.removeprefix("git-"), str(path))
    return Command(bounded(argv) if SERVICES[service] else argv, env=env)


class _Session(asyncssh.SSHServer):
    """One connection: public keys only, and only registered ones, so that a client with several finds the right one."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.public_key = ""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        conn.set_extra_info(funai=self)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        text = public_line(key)
        try:
            if username != "git" or not await self._access.known(text):
                return False
        except FunaiError as e:
            # A refused key would be final; this passes, and clients tell the two apart by the code of the disconnect.
            log.get("git").warning("git.auth_unavailable", error=str(e))
            raise asyncssh.ServiceNotAvailable(told("cant_ask")) from e
        self.public_key = text
        return True


class GitServer:
    """Start with :meth:`start`; :meth:`stop` lets running operations finish for a bounded time."""

    def __init__(self, settings: GitSettings, repos: BareRepositories, access: Access) -> None:
        self._settings, self._repos, self._access = settings, repos, access
        self._busy: Counter[str] = Counter()
        self._silent: set[tuple[str, str]] = set()
        """(key, repository) of latest pushes that ended before the client had sent anything."""
        self._tasks: set[asyncio.Task[object]] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def start(self) -> int:
        """Listen; answers the port. Raises ConfigError when the port is taken."""
        self._repos.sweep()
        host_key = load_host_key(self._settings.host_key_path)
        try:
            self._acceptor = await asyncssh.listen(
                self._settings.host,
                self._settings.port,
                server_host_keys=[host_key],
                server_factory=lambda: _Session(self._access),
                process_factory=self._process,
                encoding=None,
                login_timeout=20,
                keepalive_interval=30,
                keepalive_count_max=4,
                allow_scp=False,
                agent_forwarding=False,
                x11_forwarding=False,
                allow_pty=True,
                line_editor=False,
                password_auth=False,
                kbdint_auth=False,
                gss_host=None,
                server_version="FunAI",
            )
        except OSError as e:
            where = f"{self._settings.host}:{self._settings.port}"
            raise ConfigError([f"GIT_PORT: {where} can't be listened on: {e.strerror or e}"]) from e
        return self._acceptor.get_port()

    async def stop(self, grace: float = 10) -> None:
        if self._acceptor:
            self._acceptor.close()
            await self._acceptor.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        key = process.get_extra_info("funai").public_key
        try:
            code = await self._operate(process, key)
        except Refusal as e:
            process.stderr.write(f"{e}\n".encode())
            code = REFUSED
        except (asyncssh.Error, ConnectionError):
            return
        except Exception:  # noqa: BLE001  # the outermost handler: logged, and the client gets an end
            log.get("git").exception("git.crashed")
            process.stderr.write(f"{told('internal')}\n".encode())
            code = REFUSED
        with suppress(asyncssh.Error, ConnectionError):
            process.exit(code)

    async def _operate(self, process: asyncssh.SSHServerProcess[bytes], key: str) -> int:
        service, repo = parse_request(process.command)
        writes = SERVICES[service]
        access = await self._ask(key, repo, writes)
        path = await self._ready(repo, writes)
        if self._busy.total() >= self._settings.max_sessions or self._busy[key] >= self._settings.max_sessions_per_key:
            raise Refusal(told("busy"))
        self._busy[key] += 1
        try:
            protocol = process.env.get("GIT_PROTOCOL")
            command = service_command(service, path, protocol=protocol, max_push=self._settings.max_push_bytes)
            self._explain_silence(process, key, repo)
            code, received = await self._converse(process, command)
            if writes and code != 0 and not received and len(self._silent) < MOST_SILENT:
                self._silent.add((key, repo))
        finally:
            self._busy[key] -= 1
        if writes and code == 0:
            await self._after_push(process, repo, access)
        return code

    def _explain_silence(self, process: asyncssh.SSHServerProcess[bytes], key: str, repo: str) -> None:
        """A git that can't use our answer, as in a SHA-256 repository, ends its ssh at once: its next attempt says why."""
        if (key, repo) in self._silent:
            self._silent.discard((key, repo))
            process.stderr.write(f"{told('nothing_sent')}\n".encode())

    async def _ask(self, key: str, repo: str, writes: bool) -> GitAccess:
        try:
            access = await self._access.ask(key, repo, write=writes)
        except FunaiError as e:
            raise Refusal(told("cant_ask")) from e
        if not access.allowed:
            raise Refusal(access.message or told("unknown_repo"))
        return access

    async def _ready(self, repo: str, writes: bool) -> Path:
        """The API said yes, so the repository belongs to an app: make it if it isn't there (yet, or any more)."""
        await self._repos.ensure(repo)
        if writes and await self._repos.size(repo) > self._settings.max_repo_bytes:
            limit = self._settings.max_repo_bytes // 1024**2
            raise Refusal(told("too_large", limit=limit))
        return self._repos.path(repo)

    async def _converse(self, process: asyncssh.SSHServerProcess[bytes], command: Command) -> tuple[int, int]:
        """git's exit status, and how many bytes the client sent to it."""
        try:
            async with asyncio.timeout(self._settings.operation_seconds):
                async with spawn(command, stdin=asyncio.subprocess.PIPE) as child:
                    try:
                        return await _relay(process, child)
                    finally:
                        await asyncio.shield(_let_end(child))
        except TimeoutError as e:
            raise Refusal(told("too_slow", seconds=f"{self._settings.operation_seconds:g}")) from e

    async def _after_push(self, process: asyncssh.SSHServerProcess[bytes], repo: str, access: GitAccess) -> None:
        branches = await self._repos.branches(repo)
        if access.app_id and access.user_id:
            try:
                await self._access.pushed(access.app_id, access.user_id, branches)
            except FunaiError as e:
                log.get("git").warning("git.notify_failed", repo=repo, error=str(e))
        if branches and DEFAULT_BRANCH not in branches:
            hint = told("other_branch", wanted=DEFAULT_BRANCH, there=", ".join(branches[:5]))
            process.stderr.write(f"{hint}\n".encode())


async def _relay(process: asyncssh.SSHServerProcess[bytes], child: Child) -> tuple[int, int]:
    """Bytes both ways, with back-pressure, until git ends; answers its exit status, and how many it was sent."""
    p = child.process
    assert p.stdin is not None and p.stdout is not None and p.stderr is not None

    async def out(piece: bytes) -> None:
        process.stdout.write(piece)
        await process.stdout.drain()

    async def err(piece: bytes) -> None:
        process.stderr.write(piece)
        await process.stderr.drain()

    received = 0

    async def feed(stdin: asyncio.StreamWriter) -> None:
        nonlocal received
        with suppress(BrokenPipeError, ConnectionResetError, asyncssh.Error):
            while piece := await process.stdin.read(65536):
                received += len(piece)
                stdin.write(piece)
                await stdin.drain()
        stdin.close()

    feeding = asyncio.create_task(feed(p.stdin))
    status: int | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pump(p.stdout, out))
            tasks.create_task(pump(p.stderr, err))
        status = await p.wait()
    except* (asyncssh.Error, ConnectionError):
        status = None  # reported below: what is raised in here comes out as a group, and on Python before 3.11.4 as another one
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    if status is None:
        raise ConnectionResetError("the client went away")
    return status, received


async def _let_end(child: Child, grace: float = 2) -> None:
    """At the end of its input git removes the half pack that a client's Ctrl-C left; at a signal it doesn't."""
    if child.process.stdin:
        child.process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(grace):
            await child.process.wait()


def load_host_key(path: Path) -> asyncssh.SSHKey:
    """The pinned host key, made once. Raises ConfigError when it can't be read."""
    try:
        return ensure_private_key(path, "funai git server")
    except (OSError, asyncssh.KeyImportError) as e:
        raise ConfigError([f"GIT_HOST_KEY_PATH: {path} is not a usable private key ({e})"]) from e


def fingerprint(path: Path) -> str:
    """The host key's SHA-256 fingerprint, as ssh shows it at the first connection."""
    return load_host_key(path).get_fingerprint()


def known_hosts_line(path: Path, host: str, port: int) -> str:
    """The line that pins this server in a ``known_hosts`` file."""
    return f"[{host.strip('[]')}]:{port} {public_line(load_host_key(path))}\n"
