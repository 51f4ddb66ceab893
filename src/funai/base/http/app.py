"""What every HTTP service of ours shares: envelope, errors, language, trace id, size limit, metrics, health."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funai import __version__
from funai.base.http import invalid
from funai.base.observability import log
from funai.base.observability.metrics import HttpMetrics, Refreshers
from funai.contracts.errors import BadInput, Forbidden, FunaiError, NotFound, TooLarge, Unauthenticated
from funai.contracts.reasons import Reason
from funai.i18n.reasons import render

TRACE_HEADER = "X-Trace-Id"
_TRACE, _ACCEPT, _LENGTH = TRACE_HEADER.lower().encode(), b"accept-language", b"content-length"
_language: ContextVar[str] = ContextVar("language", default="zh")


class Answers(StrEnum):
    ENVELOPE = "envelope"
    PLAIN = "plain"
    """FastAPI's own ``{"detail": …}``; the runtime-agent's."""


Reply = dict[str, object]
"""The envelope before it is written as JSON; the route's response model says what its ``data`` is."""


def language() -> str:
    """The language of the current request: ``zh`` (default) or ``en``."""
    return _language.get()


def ok(data: Any = None, message: str | None = None) -> Any:
    """The success envelope. ``data`` is a model, a list of models or plain JSON; FastAPI checks it by the call's model."""
    return {"code": 200, "message": message or render(Reason.OK, language(), {}), "data": data}


def ok_json(data: Any) -> Response:
    """The success envelope as a finished answer, for hot calls: FastAPI would validate and copy a model again."""
    return Response(json_bytes(ok(data)), media_type="application/json")


def pick_language(accept: str | None) -> str:
    """``en`` when Accept-Language prefers English over Chinese, else ``zh``."""
    best, best_q = "zh", 0.0
    for part in (accept or "").split(",")[:20]:
        tag, _, params = part.strip().partition(";")
        try:
            q = float(params.strip().removeprefix("q=")) if params else 1.0
        except ValueError:
            continue
        primary = tag.strip().lower().partition("-")[0]
        if primary in ("zh", "en") and q > best_q:
            best, best_q = primary, q
    return best


def create_app(
    title: str,
    *,
    answers: Answers = Answers.ENVELOPE,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[Any]] | None = None,
    registry: CollectorRegistry | None = None,
    max_body: int = 1024 * 1024,
    metrics_guard: Callable[..., Awaitable[None]] | None = None,
) -> FastAPI:
    """A FastAPI app with the shared edge. ``max_body`` bytes is the largest request body accepted.

    ``app.state.registry`` is its Prometheus registry, served at ``/metrics``; what ``app.state.refreshers`` have is done
    before that page is made. ``metrics_guard`` says who may read it.
    """
    app = FastAPI(title=title, version=__version__, lifespan=lifespan)
    app.state.registry = registry or CollectorRegistry()
    metrics = HttpMetrics(app.state.registry)
    _install_errors(app, answers)
    figures = Refreshers()
    app.state.refreshers = figures

    guards = [Depends(metrics_guard)] if metrics_guard else []

    @app.get("/metrics", include_in_schema=False, dependencies=guards)
    async def metrics_page() -> Response:  # pyright: ignore[reportUnusedFunction]
        await figures.refresh()
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    app.add_middleware(Edge, answers=answers, metrics=metrics, max_body=max_body)
    return app


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Serve the router's calls as they are.

    ``include_router`` would read every call's signature once more, for a prefix or answers that these don't have; a
    third of a service's start went there.
    """
    app.router.routes.extend(router.routes)


def error_response(answers: Answers, code: int, reason: str, message: str, detail: Any = None) -> JSONResponse:
    """An error in the service's own form."""
    # A caller's own words may be in it, and half characters of theirs have no UTF-8 form.
    message = message.encode("utf-8", "replace").decode()
    if answers is Answers.PLAIN:
        return JSONResponse({"detail": message if detail is None else detail, "reason": reason}, status_code=code)
    body = {"code": code, "message": message, "data": None, "reason": reason, "traceId": log.trace_id()}
    return JSONResponse(body, status_code=code)


def _refusal(answers: Answers, e: FunaiError) -> Response:
    if e.code >= 500:
        log.get("http").warning("request.failed", reason=e.reason, error=str(e), cause=repr(e.__cause__))
    return error_response(answers, e.code, e.reason, e.message(language()), getattr(e, "detail", None))


def _install_errors(app: FastAPI, answers: Answers) -> None:
    async def on_funai(_: Request, e: Exception) -> Response:
        assert isinstance(e, FunaiError)
        return _refusal(answers, e)

    async def on_validation(request: Request, e: Exception) -> Response:
        assert isinstance(e, RequestValidationError)
        return await on_funai(request, _bad_input(request, e))

    async def on_http(request: Request, e: Exception) -> Response:
        assert isinstance(e, HTTPException)
        if isinstance(e.__cause__, TooLarge):  # met while the body was read, and taken for a body that can't be parsed
            return await on_funai(request, e.__cause__)
        if e.status_code == 400 and e.__cause__ is not None:  # FastAPI's, for a body that breaks the parser: too deep, no UTF-8
            return await on_funai(request, BadInput(Reason.BAD_JSON))
        known = {401: Unauthenticated, 403: Forbidden, 404: NotFound}.get(e.status_code)
        if known:
            return await on_funai(request, known())
        reason = Reason.METHOD_NOT_ALLOWED if e.status_code == 405 else Reason.BAD_INPUT
        message = render(reason, language(), {"detail": e.detail})
        response = error_response(answers, e.status_code, reason, message)
        response.headers.update(e.headers or {})
        return response

    app.add_exception_handler(FunaiError, on_funai)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _bad_input(request: Request, e: RequestValidationError) -> BadInput:
    unknown: dict[str, Any] = {"type": "", "loc": (), "msg": ""}
    first: dict[str, Any] = next(iter(e.errors()), unknown)
    if first["type"] == "json_invalid":
        return BadInput(Reason.BAD_JSON)
    return BadInput(Reason.BAD_INPUT, detail=invalid.words_for(first, request.headers.get("content-type", "")))


class Edge:
    """Middleware around every request: language, trace id, metrics, the limit on bodies, and a 500 without internals."""

    def __init__(self, app: ASGIApp, *, answers: Answers, metrics: HttpMetrics, max_body: int) -> None:
        self.app, self.answers, self.metrics, self.max_body = app, answers, metrics, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given, accept = b"", b""
        for name, value in scope["headers"]:
            if name == _TRACE:
                given = value
            elif name == _ACCEPT:
                accept = value
        trace = _clean_trace(given.decode("latin-1"))
        language_before = _language.set(pick_language(accept.decode("latin-1")) if accept else "zh")
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_TRACE, trace.encode())]
            await send(message)

        trace_before = log.bind_trace(trace)
        try:
            await self._limited(scope, receive, sending)
        except Exception:
            log.get("http").exception("request.crashed", method=scope["method"], path=scope["path"])
            if status != 500:
                raise
            message = render(Reason.INTERNAL, language(), {})
            await error_response(self.answers, 500, Reason.INTERNAL, message)(scope, receive, sending)
        finally:
            log.unbind_trace(trace_before)
            _language.reset(language_before)
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.count(scope["method"], route, status, time.perf_counter() - began)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if _declared_length(scope) > self.max_body:
                raise TooLarge(limit=f"{self.max_body} bytes")
            await self.app(scope, _limited(receive, self.max_body), send)
        except TooLarge as e:
            await error_response(self.answers, e.code, e.reason, e.message(language()))(scope, receive, send)


def _declared_length(scope: Scope) -> int:
    """The request's ``Content-Length``; 0 when it has none that can be read."""
    given = next((value for name, value in scope["headers"] if name == _LENGTH), b"")
    return int(given) if given.isdigit() else 0


def _clean_trace(given: str) -> str:
    """The caller's trace id when it is short and plain, else a new one."""
    if given and len(given) <= 64 and given.replace("-", "").isalnum() and given.isascii():
        return given
    return f"{random.getrandbits(64):016x}"  # it names a request and guards nothing, so it need not ask the kernel


def _limited(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise TooLarge(limit=f"{limit} bytes")
        return message

    return limited


def json_bytes(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return to_json(value)
