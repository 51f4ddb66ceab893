"""Composition of the API process.

Teardown, in order: streams end, no new requests, open requests finish, sweeps stop, clients and database close.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware

from funai.api.accounts import routes as accounts
from funai.api.admin import routes as admin
from funai.api.apps import routes as apps
from funai.api.audit import routes as audit
from funai.api.databases import routes as databases
from funai.api.deploys import routes as deploy
from funai.api.descriptions import SandboxedDescriptions
from funai.api.domains import routes as domains
from funai.api.edge import ERRORS
from funai.api.logs import routes as logs
from funai.api.repos import routes as internal
from funai.api.repos.host import RepoHost
from funai.api.services import Core, assemble
from funai.api.settings import ApiSettings, origin_pattern
from funai.base.aio import bind, periodic, serving, settle_memory
from funai.base.clock import Clock
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.base.http.app import TRACE_HEADER, add_routes, create_app, ok
from funai.base.http.guards import address_guard, networks
from funai.base.observability import log
from funai.console import main as console
from funai.console.main import ConsoleMount
from funai.contracts.accounts import User

DESCRIPTION = """Accounts, apps and deploys. Sign in by `POST /api/fun-ai/auth/login`, then send the token of its
`Authorization` response header, or an `X-API-Key`. Every answer is `{code, message, data}`."""
OVERVIEW_SECONDS = 60.0
STOPS_SECONDS = 10.0
GIT_ACCOUNTS_SECONDS = 300.0
ORPHANS_SECONDS = 600.0
MIGRATIONS = Path(__file__).parent / "migrations"
ROUTES = APIRouter()
"""Every call of the API."""
for _room in (accounts, apps, domains, deploy, logs, admin, audit, internal, databases):
    ROUTES.include_router(_room.router, responses=ERRORS)
ROUTES.include_router(internal.pushes, responses=ERRORS)


def build(
    settings: ApiSettings,
    *,
    repo_host: RepoHost | None = None,
    deploy_http: httpx.AsyncBaseTransport | None = None,
    gitea_http: httpx.AsyncBaseTransport | None = None,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    own_url: str | None = None,
) -> FastAPI:
    """The API as an ASGI app; ``app.state.core`` has its parts. Its lifespan upgrades the database and runs the sweeps.

    ``stop`` ends open streams, so that a graceful shutdown needs not wait for their readers. ``deploy_http`` replaces
    the way to Deploy, ``gitea_http`` that to Gitea (tests). ``own_url`` is where this API answers: given, the web console
    is served too, and calls it there. Raises ConfigError.
    """
    core = assemble(
        settings, repo_host=repo_host, deploy_http=deploy_http, gitea_http=gitea_http, stop=stop or asyncio.Event(), clock=clock
    )

    pages = _console(settings, own_url) if own_url and settings.console_enabled else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(core), AsyncExitStack() as stack:
            if pages:
                await stack.enter_async_context(pages.router.lifespan_context(pages))
            yield

    readers = address_guard(settings.metrics_allowed_ips, METRICS_ALLOWED, core.trusted)
    app = create_app("FunAI API", lifespan=lifespan, metrics_guard=readers)
    app.description = DESCRIPTION
    app.state.core = core
    add_routes(app, ROUTES)

    @app.get("/internal/health", include_in_schema=False)
    async def health() -> dict[str, object]:  # pyright: ignore[reportUnusedFunction]
        return ok({"ok": True})

    if pages:
        app.router.routes.append(ConsoleMount("", pages, name="console"))
        app.add_middleware(SandboxedDescriptions)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_origin_regex="|".join(origin_pattern(o) for o in settings.cors_origins if o != "*") or None,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Authorization", TRACE_HEADER],
        )
    return app


def _console(settings: ApiSettings, own_url: str) -> FastAPI:
    trusted = networks(settings.trusted_proxies, "funai.api.trusted-proxies")
    return console.build(own_url, https=settings.console_https, trusted=trusted)


def own_url(settings: ApiSettings, port: int) -> str:
    """Where a process on this machine reaches this API."""
    any_address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
    host = any_address.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{port}"


@asynccontextmanager
async def running(core: Core) -> AsyncIterator[None]:
    """The database is up to date and the sweeps run while the context is open."""
    try:
        await upgrade(core.db)
        if core.settings.admin_password:
            await core.accounts.ensure_admin(core.settings.admin_name, core.settings.admin_password.get_secret_value())
        ending = asyncio.Event()
        seconds = core.settings.sweep_seconds
        async with asyncio.TaskGroup() as sweeps:
            for name, every, work in (
                ("api.tracker", seconds, core.follower.sweep),
                ("api.stops", STOPS_SECONDS, core.tracker.finish_stops),
                ("api.overviews", OVERVIEW_SECONDS, core.overviews.sweep),
                ("api.repos", max(1.0, seconds), core.repos.sweep),
                ("api.git-accounts", GIT_ACCOUNTS_SECONDS, core.git_accounts.sweep),
                ("api.deletion", max(1.0, seconds), core.deletions.sweep),
                ("api.orphans", ORPHANS_SECONDS, core.orphans.sweep),
                ("api.idempotency", 600.0, core.answers.prune),
                ("api.audit", 600.0, core.audit.prune),
            ):
                sweeps.create_task(periodic(name, every, work, ending), name=name)
            sweeps.create_task(core.follower.run(ending), name="api.follower")
            try:
                yield
            finally:
                core.stop.set()
                ending.set()
    finally:
        await core.repos.close()
        await core.control.close()
        await core.db.close()


async def upgrade(db: Database, _time_zone: str = "") -> None:
    """Bring the API's tables up to date."""
    await migrate.upgrade(db, MIGRATIONS)


async def check(db: Database, _time_zone: str = "") -> list[str]:
    """What an upgrade would do, a line each."""
    return [await migrate.pending(db, MIGRATIONS, "funai_api_version")]


async def ensure_admin(app: FastAPI, user_name: str, password: str) -> User:
    """The first admin of an installation: made once, left alone later. Works before the app serves."""
    core: Core = app.state.core
    await upgrade(core.db)
    return await core.accounts.ensure_admin(user_name, password)


async def serve(settings: ApiSettings, stop: asyncio.Event) -> None:
    """Serve until ``stop``. Repositories are made in a Gitea where there is one, else by the Git server at their first use."""
    with closing(bind(settings.host, settings.port)) as sock:
        app = build(settings, stop=stop, own_url=own_url(settings, int(sock.getsockname()[1])))
        await migrate.reachable(app.state.core.db)
        async with serving(app, sock) as port:
            log.get("api").info("api.listening", host=settings.host, port=port)
            settle_memory()
            await stop.wait()
