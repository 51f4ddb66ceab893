"""Composition of the console: as a part of the API's process, or alone (``funai serve console``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Mount
from starlette.types import Scope

from funai.base.aio import bind, serving, settle_memory
from funai.base.http.app import Answers, Edge, add_routes
from funai.base.http.guards import Network, networks
from funai.base.http.invalid import words_for
from funai.base.observability import log
from funai.base.observability.metrics import HttpMetrics
from funai.console import assets
from funai.console.pages import account, admin, apps, databases, deploys
from funai.console.render import Pages
from funai.console.security import SAFE_METHODS, Cookies, SecurityHeaders, form_token
from funai.console.session import Console, SharedWay, preferred_language, preferred_theme
from funai.console.settings import ConsoleSettings
from funai.contracts.errors import FunaiError, TooLarge, Unauthenticated
from funai.contracts.reasons import Reason
from funai.i18n.console import next_step, text

NOT_PAGES = ("/api/", "/internal/", "/docs", "/redoc", "/openapi.json", "/metrics")
"""Paths of the API's own, which the console leaves alone."""
MAX_BODY = 1024 * 1024
"""Bytes of a form, as the API's process has it."""
CONNECTIONS = httpx.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=30)


class ConsoleMount(Mount):
    """The console below ``/``, beside the API's routes: it takes no path of the API's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        path: str = scope.get("path", "")
        if path.startswith(NOT_PAGES):
            return Match.NONE, {}
        return super().matches(scope)


def build(api_base_url: str, *, https: bool = False, trusted: Sequence[Network] = ()) -> FastAPI:
    """The console as an ASGI app. ``https``: people reach it over HTTPS. ``trusted``: proxies in front of it."""
    way = SharedWay(httpx.AsyncHTTPTransport(limits=CONNECTIONS, trust_env=False))
    console = Console(api_base_url, way, Cookies(https=https), Pages(), trusted)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await way.end()

    app = FastAPI(title="FunAI Console", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.console = console
    for page in (account, apps, databases, deploys, admin):
        add_routes(app, page.router)
    app.add_api_route("/static/{mark}/{name:path}", _static, include_in_schema=False)
    app.add_exception_handler(FunaiError, _on_refusal)
    app.add_exception_handler(RequestValidationError, _on_bad_form)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_middleware(SecurityHeaders, https=https)
    return app


def alone(api_base_url: str, *, https: bool = False, trusted: Sequence[Network] = ()) -> FastAPI:
    """The console in a process of its own, with what the API's process has around it: limit on bodies, trace id, language."""
    app = build(api_base_url, https=https, trusted=trusted)
    app.add_middleware(Edge, answers=Answers.ENVELOPE, metrics=HttpMetrics(CollectorRegistry()), max_body=MAX_BODY)
    return app


async def serve(settings: ConsoleSettings, stop: asyncio.Event) -> None:
    """Serve the console alone until ``stop``."""
    trusted = networks(settings.trusted_proxies, "funai.console.trusted-proxies")
    app = alone(settings.api_base_url, https=settings.https, trusted=trusted)
    async with serving(app, bind(settings.host, settings.port)) as port:
        log.get("console").info("console.listening", host=settings.host, port=port)
        settle_memory()
        await stop.wait()


def _static(mark: str, name: str) -> Response:
    return assets.serve(mark, name)


async def _on_refusal(request: Request, e: Exception) -> Response:
    assert isinstance(e, FunaiError)
    if request.headers.get("hx-request") == "true":
        return _part_refused(e)
    if isinstance(e, Unauthenticated) and request.method in SAFE_METHODS:
        return RedirectResponse(f"/login?next={quote(request.url.path)}", status_code=303)
    language = preferred_language(request)
    message = e.message(language)
    if request.headers.get("accept") == "text/plain":
        return PlainTextResponse(message, status_code=e.code)
    return _problem(request, e.code, message, e.reason, next_step(language, e.reason))


def _part_refused(e: FunaiError) -> Response:
    """What a part of a page gets that refreshes by itself: where the whole page would tell something else, load that."""
    gone = e.code in (401, 403, 404)
    return Response(status_code=e.code, headers={"HX-Refresh": "true"} if gone else {})


async def _on_bad_form(request: Request, e: Exception) -> Response:
    assert isinstance(e, RequestValidationError)
    first: dict[str, object] = next(iter(e.errors()), {"type": "", "loc": (), "msg": ""})
    words = words_for(first, request.headers.get("content-type", ""))
    message = words.en if preferred_language(request) == "en" else words.zh
    return _problem(request, 400, message, Reason.BAD_INPUT, "")


async def _on_http(request: Request, e: Exception) -> Response:
    assert isinstance(e, HTTPException)
    language = preferred_language(request)
    if isinstance(e.__cause__, TooLarge):  # met while the form was read
        return _problem(request, e.__cause__.code, e.__cause__.message(language), e.__cause__.reason, "")
    if e.status_code == 404:
        return _problem(request, 404, text(language, "not_found_text"), Reason.NOT_FOUND, "")
    return _problem(request, e.status_code, str(e.detail), Reason.BAD_INPUT, "")


def _problem(request: Request, status: int, message: str, reason: str, advice: str) -> Response:
    console: Console = request.app.state.console
    session = console.cookies.session(request)
    values = {
        "theme": preferred_theme(request),
        "form_token": form_token(session) if session else "",
        "user": None,
        "path": "/",
        "message": message,
        "reason": reason,
        "advice": advice,
        "trace": log.trace_id(),
    }
    return console.pages.answer(request, "problem.html", preferred_language(request), values, status=status)
