"""Composition of the built-in Git server as a process of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from funai.base.aio import periodic
from funai.base.observability import log
from funai.contracts.errors import BadInput
from funai.git.access import ApiAccess
from funai.git.repos import BareRepositories
from funai.git.server import GitServer
from funai.git.settings import GitSettings

DISCARD_SECONDS = 30.0
REPORT_SECONDS = 600.0
MAX_TOLD = 20_000


async def discard(repos: BareRepositories, access: ApiAccess) -> None:
    """Remove the repositories of apps that were deleted since. Raises FunaiError, OSError."""
    done: list[str] = []
    while pending := [repo for repo in await access.discards(done) if repo not in done]:
        for repo in pending:
            with suppress(BadInput):  # a name that this server never gives to a repository
                await repos.delete(repo)
            log.get("git").info("git.discarded", repo=repo)
        done = pending


async def report(repos: BareRepositories, access: ApiAccess) -> None:
    """Tell the API which repositories there are, for its search for orphans. Raises FunaiError, also of an older API."""
    await access.there((await repos.everything())[:MAX_TOLD])


async def serve(settings: GitSettings, stop: asyncio.Event) -> None:
    """Serves until ``stop``; running operations get a bounded time to finish."""
    access = ApiAccess(settings.api_base_url, settings.internal_token.get_secret_value())
    server = GitServer(settings, BareRepositories(settings.repos_dir), access)
    port = await server.start()
    log.get("git").info("git.listening", host=settings.host, port=port)
    repos = BareRepositories(settings.repos_dir)
    removing = asyncio.create_task(periodic("git.discards", DISCARD_SECONDS, partial(discard, repos, access), stop))
    reporting = asyncio.create_task(periodic("git.report", REPORT_SECONDS, partial(report, repos, access), stop))
    try:
        await stop.wait()
    finally:
        for task in (removing, reporting):
            task.cancel()
        await asyncio.gather(removing, reporting, return_exceptions=True)
        await server.stop()
        await access.close()
