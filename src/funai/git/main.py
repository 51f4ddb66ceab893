"""Composition of the built-in Git server as a process of its own."""

from __future__ import annotations

import asyncio

from funai.base.observability import log
from funai.git.access import ApiAccess
from funai.git.repos import BareRepositories
from funai.git.server import GitServer
from funai.git.settings import GitSettings


async def serve(settings: GitSettings, stop: asyncio.Event) -> None:
    """Serves until ``stop``; running operations get a bounded time to finish."""
    access = ApiAccess(settings.api_base_url, settings.internal_token.get_secret_value())
    server = GitServer(settings, BareRepositories(settings.repos_dir), access)
    port = await server.start()
    log.get("git").info("git.listening", host=settings.host, port=port)
    try:
        await stop.wait()
    finally:
        await server.stop()
        await access.close()
