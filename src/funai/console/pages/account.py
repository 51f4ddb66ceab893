"""Signing in and up, preferences, and what a user keeps: SSH keys, API key, password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from funai.console.pages.forms import see
from funai.console.security import LANGUAGE_COOKIE, THEME_COOKIE, check_origin, local_path
from funai.console.session import LANGUAGES, THEMES, Change, Guest, GuestChange, SignedIn, Visit
from funai.contracts.errors import FunaiError

router = APIRouter()
SESSION_SECONDS = 604_800
"""How long a browser keeps the cookie; the API's token inside may end sooner."""
Next = Annotated[str, Form(alias="next", max_length=2_000)]
Secret = Annotated[str, Form(max_length=256)]
UserName = Annotated[str, Form(max_length=64)]


@router.get("/")
async def home(visit: SignedIn) -> object:  # noqa: ARG001 - being signed in is what counts
    return see("/apps")


@router.get("/login")
async def login_page(visitor: Guest, then: Annotated[str | None, Query(alias="next")] = None) -> Response:
    return visitor.page("login.html", next=local_path(then), error=None, name="")


@router.post("/login")
async def login(visitor: GuestChange, user_name: UserName = "", password: Secret = "", then: Next = "/") -> Response:
    try:
        _, token = await visitor.api.login(user_name, password)
    except FunaiError as e:
        return visitor.page("login.html", status=e.code, next=local_path(then), error=e, name=user_name)
    answer = see(local_path(then))
    visitor.console.cookies.begin(answer, token, SESSION_SECONDS)
    return answer


@router.get("/register")
async def register_page(visitor: Guest) -> Response:
    return visitor.page("register.html", error=None, name="")


@router.post("/register")
async def register(visitor: GuestChange, user_name: UserName = "", password: Secret = "") -> Response:
    try:
        await visitor.api.register(user_name, password)
        _, token = await visitor.api.login(user_name, password)
    except FunaiError as e:
        return visitor.page("register.html", status=e.code, error=e, name=user_name)
    answer = see("/apps")
    visitor.console.cookies.begin(answer, token, SESSION_SECONDS)
    return answer


@router.post("/logout")
async def logout(visitor: GuestChange) -> Response:
    answer = see("/login")
    visitor.console.cookies.end(answer)
    return answer


@router.post("/preferences")
async def preferences(
    visitor: Guest,
    theme: Annotated[str | None, Form()] = None,
    language: Annotated[str | None, Form()] = None,
    then: Next = "/",
) -> Response:
    check_origin(visitor.request)
    answer = see(local_path(then))
    if theme in THEMES:
        visitor.console.cookies.prefer(answer, THEME_COOKIE, theme)
    if language in LANGUAGES:
        visitor.console.cookies.prefer(answer, LANGUAGE_COOKIE, language)
    return answer


@router.get("/account")
async def account_page(visit: SignedIn, done: Annotated[str | None, Query()] = None) -> Response:
    return await _account(visit, done=done)


@router.post("/account/keys")
async def add_key(
    visit: Change, title: Annotated[str, Form(max_length=100)] = "", public_key: Annotated[str, Form(max_length=16_000)] = ""
) -> Response:
    try:
        await visit.api.add_key(title, public_key.strip())
    except FunaiError as e:
        return await _account(visit, error=e, form="key")
    return see("/account", done="done_key")


@router.post("/account/keys/remove")
async def remove_key(visit: Change, key: Annotated[int, Form(ge=1)]) -> Response:
    await visit.api.remove_key(key)
    return see("/account", done="done_key_removed")


@router.post("/account/api-key")
async def renew_api_key(visit: Change) -> Response:
    return await _account(visit, api_key=await visit.api.renew_api_key())


@router.post("/account/password")
async def change_password(visit: Change, old: Secret = "", new: Secret = "") -> Response:
    try:
        token = await visit.api.change_password(old, new)
    except FunaiError as e:
        return await _account(visit, error=e, form="password")
    answer = see("/account", done="done_password")
    visit.console.cookies.begin(answer, token, SESSION_SECONDS)
    return answer


async def _account(
    visit: Visit, *, done: str | None = None, error: FunaiError | None = None, form: str = "", api_key: str | None = None
) -> Response:
    keys = await visit.api.keys()
    status = error.code if error else 200
    return visit.page("account.html", status=status, keys=keys, done=done, error=error, form=form, api_key=api_key)
