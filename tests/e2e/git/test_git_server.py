"""The built-in Git server with the real git and OpenSSH clients."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import SecretStr

from funai.contracts.accounts import GitAccess
from funai.contracts.errors import CalleeFailed
from funai.contracts.reasons import FailureCode
from funai.git.repos import BareRepositories
from funai.git.server import GitServer, known_hosts_line
from funai.git.settings import GitSettings
from funai.runner.settings import RunnerSettings
from funai.runner.source.probe import diagnose
from tests.parts.waiting import eventually


@dataclass
class Rules:
    """Stands for the API: who may read and write what."""

    writers: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    readers: set[str] = field(default_factory=set[str])
    pushes: list[tuple[int, list[str]]] = field(default_factory=list[tuple[int, list[str]]])
    down: bool = False
    knows_nobody: bool = False
    """It is away already when the key is asked about."""

    async def known(self, public_key: str) -> bool:
        if self.knows_nobody:
            raise CalleeFailed(service="api", detail="down")
        return public_key in self.writers or public_key in self.readers

    async def ask(self, public_key: str, repo: str, *, write: bool) -> GitAccess:
        if self.down:
            raise CalleeFailed(service="api", detail="down")
        if repo in self.writers.get(public_key, set()) or (not write and public_key in self.readers):
            return GitAccess(allowed=True, user_id=1, app_id=1)
        return GitAccess(allowed=False)

    async def pushed(self, app_id: int, user_id: int, branches: list[str]) -> None:
        self.pushes.append((app_id, branches))


@dataclass
class World:
    server: GitServer
    rules: Rules
    port: int
    home: Path
    settings: GitSettings

    def key(self, name: str) -> str:
        file = self.home / name
        if not file.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
        return " ".join(file.with_suffix(".pub").read_text().split()[:2])

    async def git(self, key: str, *argv: str, cwd: Path | None = None) -> tuple[int, str]:
        known = self.home / "known_hosts"
        ssh = (
            f"ssh -i {self.home / key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={known} -F none"
        )
        env = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
        p = await asyncio.create_subprocess_exec(
            "git", *argv, cwd=cwd, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(60):
            out, _ = await p.communicate()
        return p.returncode or 0, out.decode()

    def url(self, repo: str) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/{repo}.git"

    def work(self, name: str, text: str = "hello\n") -> Path:
        work = self.home / name
        work.mkdir()
        (work / "file").write_text(text)
        for argv in (
            ["init", "-q", "-b", "main"],
            ["add", "."],
            ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *argv], cwd=work, check=True)
        return work


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    settings = GitSettings(
        port=0,
        repos_dir=tmp_path / "repos",
        host_key_path=tmp_path / "host_key",
        internal_token=SecretStr("t" * 20),
        max_push_bytes=1024 * 1024,
    )
    rules = Rules()
    server = GitServer(settings, BareRepositories(settings.repos_dir), rules)
    port = await server.start()
    (tmp_path / "known_hosts").write_text(known_hosts_line(settings.host_key_path, "127.0.0.1", port))
    yield World(server, rules, port, tmp_path, settings)
    await server.stop(grace=1)


async def test_an_owner_pushes_and_clones_and_the_api_hears_of_it(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    work = world.work("w")
    code, out = await world.git("alice", "push", "-q", world.url("funai/u1-app1"), "main", cwd=work)
    assert code == 0, out
    assert world.rules.pushes == [(1, ["main"])]
    code, out = await world.git("alice", "clone", "-q", world.url("funai/u1-app1"), str(world.home / "copy"))
    assert code == 0, out
    assert (world.home / "copy" / "file").read_text() == "hello\n"


async def test_a_foreign_repository_and_a_missing_one_look_the_same(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    world.rules.writers[world.key("bob")] = {"funai/u2-app2"}
    work = world.work("w")
    foreign = await world.git("bob", "push", world.url("funai/u1-app1"), "main", cwd=work)
    missing = await world.git("bob", "push", world.url("funai/u9-app9"), "main", cwd=work)
    assert foreign[0] != 0 and "no such repository, or not yours" in foreign[1] and "仓库不存在或无权访问" in foreign[1]
    assert foreign == missing
    assert not (world.settings.repos_dir / "funai" / "u9-app9.git").exists()


async def test_an_unknown_key_gets_no_further_than_the_door(world: World) -> None:
    world.key("mallory")
    code, out = await world.git("mallory", "ls-remote", world.url("funai/u1-app1"))
    assert code != 0 and "Permission denied (publickey)" in out


async def test_the_runners_key_reads_everything_and_writes_nothing(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    world.rules.readers.add(world.key("runner"))
    work = world.work("w")
    await world.git("alice", "push", "-q", world.url("funai/u1-app1"), "main", cwd=work)
    assert (await world.git("runner", "ls-remote", world.url("funai/u1-app1")))[0] == 0
    code, out = await world.git("runner", "push", world.url("funai/u1-app1"), "main:other", cwd=work)
    assert code != 0 and "not yours" in out


async def test_a_changed_host_key_is_refused_by_the_client(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    other = world.home / "other_key"
    (world.home / "known_hosts").write_text(known_hosts_line(other, "127.0.0.1", world.port))
    code, out = await world.git("alice", "ls-remote", world.url("funai/u1-app1"))
    assert code != 0 and "Host key verification failed" in out


async def test_a_pack_over_the_limit_is_refused_and_leaves_no_ref(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    work = world.home / "big"
    world.work("big", text="")
    (work / "file").write_bytes(os.urandom(3 * 1024 * 1024))
    await asyncio.to_thread(_commit_all, work)
    code, out = await world.git("alice", "push", world.url("funai/u1-app1"), "main", cwd=work)
    assert code != 0 and "maximum allowed size" in out
    assert (await world.git("alice", "ls-remote", world.url("funai/u1-app1")))[1] == ""


async def test_pushing_another_branch_says_what_a_deploy_takes(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    code, out = await world.git("alice", "push", world.url("funai/u1-app1"), "main:master", cwd=world.work("w"))
    assert code == 0 and "a deploy takes the branch main" in out


async def test_no_shell_no_forwarding_no_sftp(world: World) -> None:
    world.rules.writers[world.key("alice")] = set()
    base = [
        "ssh",
        "-i",
        str(world.home / "alice"),
        "-p",
        str(world.port),
        "-o",
        "IdentitiesOnly=yes",
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={world.home / 'known_hosts'}",
        "-o",
        "BatchMode=yes",
    ]
    for extra in (
        ["git@127.0.0.1"],
        ["git@127.0.0.1", "id"],
        ["-s", "git@127.0.0.1", "sftp"],
        ["-W", "127.0.0.1:22", "git@127.0.0.1"],
    ):
        p = await asyncio.create_subprocess_exec(
            *base, *extra, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(60):
            out, _ = await p.communicate()
        assert p.returncode != 0 and b"uid=" not in out, (extra, out)


async def test_an_api_that_is_away_is_said_so(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    world.rules.down = True
    code, out = await world.git("alice", "ls-remote", world.url("funai/u1-app1"))
    assert code != 0 and "try again soon" in out


async def test_an_api_that_is_away_at_the_login_is_no_refused_key(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    world.rules.knows_nobody = True
    code, out = await world.git("alice", "ls-remote", world.url("funai/u1-app1"))
    assert code != 0 and "Permission denied" not in out and "try again soon" in out
    settings = RunnerSettings(
        deploy_base_url="http://127.0.0.1:1",
        runner_token=SecretStr("t" * 20),
        agent_token=SecretStr("t" * 20),
        registry="127.0.0.1:1",
        ssh_key_path=world.home / "alice",
        known_hosts_path=world.home / "known_hosts",
    )
    failed = await diagnose(world.url("funai/u1-app1"), settings)
    assert failed is not None and failed.code is FailureCode.GIT_UNREACHABLE, "a runner tries that again"


async def test_a_client_killed_in_mid_push_leaves_no_child_and_no_bytes(world: World) -> None:
    world.rules.writers[world.key("alice")] = {"funai/u1-app1"}
    ssh = await asyncio.create_subprocess_exec(
        "ssh",
        "-i",
        str(world.home / "alice"),
        "-p",
        str(world.port),
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={world.home / 'known_hosts'}",
        "git@127.0.0.1",
        "git-receive-pack 'funai/u1-app1.git'",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert ssh.stdout is not None and ssh.stdin is not None
    await ssh.stdout.readexactly(4)
    repo = world.settings.repos_dir / "funai" / "u1-app1.git"
    path = str(repo)
    assert await asyncio.to_thread(_running, path)
    line = f"{'0' * 40} {'1' * 40} refs/heads/main\0".encode()
    ssh.stdin.write(b"%04x" % (len(line) + 4) + line + b"0000" + b"PACK\0\0\0\2\0\0\3\xe8" + b"\xbf\xff\xff\x7f")
    ssh.stdin.write(zlib.compress(secrets.token_bytes(3_000_000))[:2_000_000])
    await eventually(lambda: [*repo.glob("objects/tmp_objdir-*/pack/tmp_pack_*")], seconds=10, what="the pack arrives")
    ssh.kill()
    await ssh.wait()
    await eventually(lambda: not _running(path), seconds=10)
    await eventually(lambda: not [*repo.rglob("tmp_*")], seconds=3, what=str([*repo.rglob("tmp_*")]))
    old, new = repo / "objects" / "tmp_objdir-incoming-old", repo / "objects" / "tmp_objdir-incoming-new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    BareRepositories(world.settings.repos_dir).sweep()
    assert not old.exists() and new.exists()


def _running(path: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0].endswith(b"git") and path.encode() in words:
            return True
    return False


def _commit_all(work: Path) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qam", "big"], cwd=work, check=True)
