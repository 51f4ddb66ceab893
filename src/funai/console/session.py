"""Who is at a page: the session, the language, and the API client that acts for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Form, Request
from starlette.responses import HTMLResponse

from funai.base.clients.api import ApiClient
from funai.base.http.app import pick_language
from funai.base.http.guards import Network, client_address
from funai.console.render import Pages
from funai.console.security import LANGUAGE_COOKIE, THEME_COOKIE, Cookies, check_form_token, check_origin, form_token
from funai.contracts.accounts import App, User
from funai.contracts.errors import Forbidden, Unauthenticated
from funai.contracts.reasons import Reason

LANGUAGES = ("zh", "en")
THEMES = ("auto", "light", "dark")


class SharedWay(httpx.AsyncBaseTransport):
    """One pool of connections to the API that outlives the clients of single requests."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        """A client of one request ends here; the pool stays."""

    async def end(self) -> None:
        """Close the pool."""
        await self.inner.aclose()


@dataclass(frozen=True, slots=True)
class Console:
    """The process's parts. ``api_base_url`` is where the API answers; ``way`` the pool of connections to it."""

    api_base_url: str
    way: SharedWay
    cookies: Cookies
    pages: Pages
    trusted: Sequence[Network]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks for a page, signed in or not."""

    console: Console
    request: Request
    api: ApiClient
    language: str
    theme: str
    session: str | None

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render ``template`` for this visitor."""
        return self._page(template, status, values)

    def _page(self, template: str, status: int, values: Mapping[str, object]) -> HTMLResponse:
        token = form_token(self.session) if self.session else ""
        known = {"theme": self.theme, "form_token": token, "user": None, "path": self.here}
        return self.console.pages.answer(self.request, template, self.language, {**known, **values}, status=status)

    @property
    def here(self) -> str:
        """The page's own path with its query."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Visit(Visitor):
    """A signed-in visitor."""

    user: User

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        return self._page(template, status, {"user": self.user, **values})

    def must_be_admin(self) -> None:
        """Raises Forbidden."""
        if not self.user.admin:
            raise Forbidden(Reason.FORBIDDEN)

    async def app(self, owner: int, app_id: int) -> App:
        """The app, when it is the visitor's own or the visitor is an admin; the API decides. Raises NotFound."""
        return await self.api.app(owner, app_id)


def console_of(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def preferred_language(request: Request) -> str:
    """The browser's choice by the switch, else by ``Accept-Language``."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else pick_language(request.headers.get("accept-language", ""))


def preferred_theme(request: Request) -> str:
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


async def visitor_of(request: Request) -> AsyncIterator[Visitor]:
    console = console_of(request)
    session, language = console.cookies.session(request), preferred_language(request)
    headers = {"Accept-Language": language, "X-Forwarded-For": client_address(request, console.trusted)}
    if session:
        headers["Authorization"] = f"Bearer {session}"
    api = ApiClient(console.api_base_url, headers, http=console.way)
    try:
        yield Visitor(console, request, api, language, preferred_theme(request), session)
    finally:
        await api.close()


async def visit_of(visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visit:
    """Raises Unauthenticated, which a page answers with the sign-in form."""
    if visitor.session is None:
        raise Unauthenticated()
    user = await visitor.api.me()
    return Visit(visitor.console, visitor.request, visitor.api, visitor.language, visitor.theme, visitor.session, user)


async def change_by_visitor(request: Request, visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
    """A change before sign-in: it must come from one of our pages. Raises Forbidden."""
    check_origin(request)
    return visitor


async def change_by_user(
    request: Request, visit: Annotated[Visit, Depends(visit_of)], token: Annotated[str, Form(max_length=128)] = ""
) -> Visit:
    """A change by a signed-in visitor: from one of our pages, with its form's token. Raises Forbidden."""
    check_origin(request)
    assert visit.session is not None
    check_form_token(visit.session, token)
    return visit


Guest = Annotated[Visitor, Depends(visitor_of)]
GuestChange = Annotated[Visitor, Depends(change_by_visitor)]
SignedIn = Annotated[Visit, Depends(visit_of)]
Change = Annotated[Visit, Depends(change_by_user)]
