"""What every repository host does, whichever driver: the contract of ``RepoHost``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from funai.api.repos.gitea import Admitted, GiteaHost, GiteaRules
from funai.api.repos.host import RepoHost
from funai.base.clients.gitea import Gitea
from funai.git.repos import BareRepositories
from tests.parts.gitea import TOKEN, ScriptedGitea

REPO, OTHER = "funai/u1-app2", "funai/u1-app20"


@dataclass
class Kit:
    host: RepoHost
    made: Callable[[], set[str]]
    """The repositories that are there."""
    pushed: Callable[[str], None]
    """Somebody's commit arrives in a repository."""
    holds: Callable[[str], bool]
    """Whether that commit is there."""


@pytest.fixture(params=["built-in", "gitea"])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    if request.param == "built-in":
        bare = BareRepositories(tmp_path)
        yield Kit(
            bare,
            made=lambda: {p.relative_to(tmp_path).as_posix().removesuffix(".git") for p in tmp_path.glob("*/*.git")},
            pushed=lambda repo: (bare.path(repo) / "refs/heads/main").write_text("1" * 40),  # type: ignore[arg-type,return-value]
            holds=lambda repo: (bare.path(repo) / "refs/heads/main").exists(),
        )
        return
    scripted = ScriptedGitea()
    runner = Admitted("runner-readonly", "runner-bot", "read", "gitea.runner")
    writer = Admitted("workspace-write", "workspace-bot", "write", "gitea.workspace")
    hook = ("http://api/hook", "s" * 16)
    rules = GiteaRules(True, "main", runner, writer, hook, {".gitignore": b"x"})
    host = GiteaHost(Gitea("http://gitea.test:3000", TOKEN, http=scripted.transport), rules)
    yield Kit(
        host,
        made=lambda: set(scripted.repos),
        pushed=lambda repo: scripted.repos[repo].files.update({"app.js": b"1"}),
        holds=lambda repo: "app.js" in scripted.repos[repo].files,
    )
    await host.close()
    assert scripted.transport.faults == []


async def _order(host: RepoHost, repo: str) -> None:
    await host.ensure(repo)
    await host.grant(repo, None)
    await host.webhook(repo)


async def test_host_makes_one_repository_however_often_it_is_asked(kit: Kit) -> None:
    for _ in range(2):
        await _order(kit.host, REPO)
    assert kit.made() == {REPO}


async def test_host_keeps_what_a_repository_has_when_it_is_made_again(kit: Kit) -> None:
    await _order(kit.host, REPO)
    kit.pushed(REPO)
    await _order(kit.host, REPO)
    assert kit.holds(REPO)


async def test_host_removes_one_repository_and_no_other(kit: Kit) -> None:
    await _order(kit.host, REPO)
    await _order(kit.host, OTHER)
    for _ in range(2):
        await kit.host.delete(REPO)
    assert kit.made() == {OTHER}


async def test_host_makes_a_removed_repository_anew_and_empty(kit: Kit) -> None:
    await _order(kit.host, REPO)
    kit.pushed(REPO)
    await kit.host.delete(REPO)
    await _order(kit.host, REPO)
    assert kit.made() == {REPO}
    assert not kit.holds(REPO)


async def test_host_serves_concurrent_runs_for_one_repository(kit: Kit) -> None:
    async with asyncio.TaskGroup() as tasks:
        for repo in (REPO, REPO, OTHER):
            tasks.create_task(_order(kit.host, repo))
    assert kit.made() == {REPO, OTHER}
