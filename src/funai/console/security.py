"""What protects the pages: headers, the same-origin check of every change, form tokens, the session cookie.

Cookies take no notice of ports, and an app's page on the gateway's port is same-site with the console. So a change needs
three things: ``Sec-Fetch-Site: same-origin`` (or an ``Origin`` that is the console's own), the session cookie, and a token
that only a page of that session holds. The gateway hides the session cookie from apps (``gateway.hidden-cookies``).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Literal
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from funai.contracts.errors import Forbidden
from funai.contracts.reasons import Reason

SESSION_COOKIE = "funai_session"
THEME_COOKIE, LANGUAGE_COOKIE = "funai_theme", "funai_lang"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
YEAR_SECONDS = 31_536_000
MAX_TOKEN = 4096
"""Longest session cookie that is looked at, in characters."""


def content_policy(nonce: str) -> str:
    """The Content-Security-Policy of a page: nothing but the console's own files, no inline script or style."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}' 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types htmx",
        )
    )


class SecurityHeaders:
    """ASGI middleware: gives each request a nonce (``request.state.nonce``) and each answer its headers."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app, self.https = app, https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(18)
        scope.setdefault("state", {})["nonce"] = nonce

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), nonce)
            await send(message)

        await self.app(scope, receive, sending)

    def _add(self, headers: MutableHeaders, nonce: str) -> None:
        headers["Content-Security-Policy"] = content_policy(nonce)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        headers.setdefault("Cache-Control", "no-store")
        if self.https:
            headers["Strict-Transport-Security"] = f"max-age={YEAR_SECONDS}"


def check_origin(request: Request) -> None:
    """Raise Forbidden unless the request comes from one of the console's own pages."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise Forbidden(Reason.CROSS_SITE)
        return
    origin = request.headers.get("origin", "")
    if not origin or urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        raise Forbidden(Reason.CROSS_SITE)


def form_token(session: str) -> str:
    """The token that a session's forms carry; worthless without the session."""
    return hmac.new(session.encode(), b"funai console form", hashlib.sha256).hexdigest()


def check_form_token(session: str, given: str) -> None:
    """Raise Forbidden unless ``given`` is the session's form token."""
    if not hmac.compare_digest(form_token(session).encode(), given.encode("utf-8", "replace")):
        raise Forbidden(Reason.FORM_EXPIRED)


class Cookies:
    """Names and flags of the console's cookies."""

    def __init__(self, *, https: bool) -> None:
        self.https = https
        self.session_name = f"__Host-{SESSION_COOKIE}" if https else SESSION_COOKIE

    def session(self, request: Request) -> str | None:
        """The session's bearer token, or None. Anything that can't be a token is no session."""
        token = request.cookies.get(self.session_name, "")
        usable = (
            0 < len(token) <= MAX_TOKEN
            and token.isascii()
            and token.replace(".", "").replace("-", "").replace("_", "").isalnum()
        )
        return token if usable else None

    def begin(self, response: Response, token: str, seconds: int) -> None:
        """Start a session; it replaces any that the browser had."""
        self._set(response, self.session_name, token, seconds, same_site="lax")

    def end(self, response: Response) -> None:
        """End the browser's session."""
        response.delete_cookie(self.session_name, path="/", secure=self.https, httponly=True, samesite="lax")

    def prefer(self, response: Response, name: str, value: str) -> None:
        """Keep a preference of this browser for a year."""
        self._set(response, name, value, YEAR_SECONDS, same_site="lax")

    def _set(self, response: Response, name: str, value: str, seconds: int, *, same_site: Literal["lax", "strict"]) -> None:
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.https, httponly=True, samesite=same_site)


def local_path(given: str | None, default: str = "/") -> str:
    """``given`` when it is a path of the console itself, else ``default``: no answer sends a browser elsewhere."""
    if not given or not given.startswith("/") or given.startswith(("//", "/\\")):
        return default
    unfit = any(ord(c) < 0x21 or ord(c) == 0x7F or c == "\\" for c in given)
    return default if unfit else given
