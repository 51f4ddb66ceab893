"""What every HTTP service of ours shares: envelope, errors, language, trace id, size limit, metrics, health."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funai import __version__
from funai.base import log
from funai.base.metrics import HttpMetrics
from funai.base.shortcut import Shortcuts
from funai.contracts.errors import BadInput, Forbidden, FunaiError, NotFound, TooLarge, Unauthenticated
from funai.contracts.messages import Words, input_fault, render

TRACE_HEADER = "X-Trace-Id"
_language: ContextVar[str] = ContextVar("language", default="zh")


class Answers(StrEnum):
    ENVELOPE = "envelope"
    PLAIN = "plain"
    """FastAPI's own ``{"detail": …}``; the runtime-agent's."""


def language() -> str:
    """The language of the request in hand: ``zh`` (default) or ``en``."""
    return _language.get()


def ok(data: Any = None, message: str | None = None) -> dict[str, Any]:
    """The success envelope. ``data`` is a model, a list of models or plain JSON."""
    return {"code": 200, "message": message or render("OK", language(), {}), "data": data}


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
) -> FastAPI:
    """A FastAPI app with the shared edge. ``max_body`` bytes is the largest request body accepted.

    ``app.state.registry`` is its Prometheus registry, served at ``/metrics``; hot calls are added to
    ``app.state.shortcuts``.
    """
    app = FastAPI(title=title, version=__version__, lifespan=lifespan)
    app.state.registry = registry or CollectorRegistry()
    metrics = HttpMetrics(app.state.registry)
    _install_errors(app, answers)

    @app.get("/metrics", include_in_schema=False)
    async def metrics_page() -> Response:  # pyright: ignore[reportUnusedFunction]
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    shortcuts = app.state.shortcuts = Shortcuts(ok_json, lambda e: _refusal(answers, e))
    app.add_middleware(_Edge, answers=answers, metrics=metrics, max_body=max_body, shortcuts=shortcuts)
    return app


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
        return await on_funai(request, _bad_input(e))

    async def on_http(request: Request, e: Exception) -> Response:
        assert isinstance(e, HTTPException)
        if isinstance(e.__cause__, TooLarge):  # met while the body was read, and taken for a body that can't be parsed
            return await on_funai(request, e.__cause__)
        known = {401: Unauthenticated, 403: Forbidden, 404: NotFound}.get(e.status_code)
        if known:
            return await on_funai(request, known())
        reason = "METHOD_NOT_ALLOWED" if e.status_code == 405 else "BAD_INPUT"
        message = render(reason, language(), {"detail": e.detail})
        response = error_response(answers, e.status_code, reason, message)
        response.headers.update(e.headers or {})
        return response

    app.add_exception_handler(FunaiError, on_funai)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def _bad_input(e: RequestValidationError) -> BadInput:
    unknown: dict[str, Any] = {"type": "", "loc": (), "msg": ""}
    first: dict[str, Any] = next(iter(e.errors()), unknown)
    if first["type"] == "json_invalid":
        return BadInput("BAD_JSON")
    where = ".".join(str(p) for p in first["loc"][1:]) or (str(first["loc"][0]) if first["loc"] else "request")
    fault = input_fault(first["type"], first["msg"], first.get("ctx") or {})
    return BadInput("BAD_INPUT", detail=Words(f"{where}（{fault.zh}）", f"{where}: {fault.en}"))


class _Edge:
    """Pure ASGI: language and trace id for the request, body limit, metrics, and a 500 that tells nothing inside out."""

    def __init__(self, app: ASGIApp, *, answers: Answers, metrics: HttpMetrics, max_body: int, shortcuts: Shortcuts) -> None:
        self.app, self.answers, self.metrics, self.max_body, self.shortcuts = app, answers, metrics, max_body, shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trace = _clean_trace(headers.get(TRACE_HEADER))
        token = _language.set(pick_language(headers.get("accept-language")))
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[TRACE_HEADER] = trace
            await send(message)

        with log.bound(trace_id=trace):
            try:
                await self._answer(scope, _limited(receive, self.max_body), sending, lambda: status != 500)
            finally:
                _language.reset(token)
                route = getattr(scope.get("route"), "path", "unmatched")
                self.metrics.requests.labels(scope["method"], route, str(status)).inc()
                self.metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, started: Callable[[], bool]) -> None:
        try:
            declared = Headers(scope=scope).get("content-length", "0")
            if declared.isdigit() and int(declared) > self.max_body:
                raise TooLarge(limit=f"{self.max_body} bytes")
            left = await self.shortcuts.take(scope, receive, send)
            if left is not None:
                await self.app(scope, left, send)
        except TooLarge as e:
            await error_response(self.answers, e.code, e.reason, e.message(language()))(scope, receive, send)
        except Exception:
            log.get("http").exception("request.crashed", method=scope["method"], path=scope["path"])
            if started():
                raise
            message = render("INTERNAL", language(), {})
            await error_response(self.answers, 500, "INTERNAL", message)(scope, receive, send)


def _clean_trace(given: str | None) -> str:
    """The caller's trace id when it is short and plain, else a new one."""
    if given and len(given) <= 64 and given.replace("-", "").isalnum() and given.isascii():
        return given
    return secrets.token_hex(8)


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
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
