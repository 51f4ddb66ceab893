"""What every repository host does, whichever driver: the contract of ``RepoHost``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from funai.api.repos.gitea import Admitted, GiteaHost, GiteaRules
from funai.api.repos.host import RepoHost
from funai.base.clients.gitea import Gitea
from funai.git.access import ApiAccess
from funai.git.main import discard, report
from funai.git.repos import BareRepositories
from tests.parts.gitea import TOKEN, ScriptedGitea
from tests.service.api.platform import GIT, Platform

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


@asynccontextmanager
async def apart(folder: Path) -> AsyncIterator[Kit]:
    """The built-in server's own two halves: the API writes removals down, the server does them."""
    async with Platform(folder, repos_apart=True).running() as platform:
        bare = BareRepositories(folder / "git")
        bare.sweep()
        http = httpx.ASGITransport(platform.api)
        access = ApiAccess("http://api.test", GIT, http=http)
        host = platform.core.repos.host

        class Both:
            """The first use makes it; the next look removes it."""

            async def ensure(self, repo: str) -> None:
                await host.ensure(repo)
                await bare.ensure(repo)

            async def grant(self, repo: str, account: str | None) -> None:
                await host.grant(repo, account)

            async def webhook(self, repo: str) -> None:
                await host.webhook(repo)

            async def delete(self, repo: str) -> None:
                await host.delete(repo)
                await discard(bare, access)

            async def repositories(self, owner: str) -> list[str]:
                await report(bare, access)
                return await host.repositories(owner)

            async def close(self) -> None:
                await access.close()

        yield Kit(Both(), *_bare(bare))
        await access.close()


def _bare(bare: BareRepositories) -> tuple[Callable[[], set[str]], Callable[[str], None], Callable[[str], bool]]:
    def pushed(repo: str) -> None:
        (bare.path(repo) / "refs/heads/main").write_text("1" * 40)

    return (
        lambda: {p.relative_to(bare.root).as_posix().removesuffix(".git") for p in bare.root.glob("*/*.git")},
        pushed,
        lambda repo: (bare.path(repo) / "refs/heads/main").exists(),
    )


@pytest.fixture(params=["built-in", "apart", "gitea"])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    if request.param == "built-in":
        bare = BareRepositories(tmp_path)
        yield Kit(bare, *_bare(bare))
        return
    if request.param == "apart":
        async with apart(tmp_path) as both:
            yield both
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


async def test_host_lists_the_repositories_of_an_owner(kit: Kit) -> None:
    assert await kit.host.repositories("funai") == []
    for repo in (REPO, OTHER):
        await _order(kit.host, repo)
    assert sorted(await kit.host.repositories("funai")) == [REPO, OTHER]
    assert await kit.host.repositories("fun") == []


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
