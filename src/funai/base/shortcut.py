"""The good case of a hot call, past FastAPI's router and dependency solver, which cost more than the call's own work
(docs/decisions/queue-measured.md). Whatever isn't plainly good (another content type, a wrong secret, a body that doesn't
validate) goes on to the route of the same path, whose answers stay the only ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

from fastapi import Request
from starlette.types import Message, Receive, Scope, Send

from funai.contracts.errors import FunaiError
from funai.contracts.wire import MAX_ID, Wire

M = TypeVar("M", bound=Wire)
_ID = "[1-9][0-9]{0,18}"


@dataclass(frozen=True)
class Shortcut(Generic[M]):
    """``POST path`` with a JSON body. ``path`` may hold one ``{job_id}``; ``work(request, body, id)`` gets it, or 0.

    ``work`` answers the envelope's ``data`` and may raise FunaiError.
    """

    path: str
    door: Callable[[Request], Awaitable[None]]
    model: type[M]
    work: Callable[[Request, M, int], Awaitable[Any]]

    def match(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\{[a-z_]+\\}", f"({_ID})", re.escape(self.path)))

    async def read(self, request: Request, body: bytes) -> M | None:
        """The body as the route would read it; None when the route must say what is wrong."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return None
        try:
            await self.door(request)
            return self.model.model_validate(json.loads(body))
        except (FunaiError, ValueError, RecursionError):
            return None


class Shortcuts:
    """All of an app's, found by path. ``answer`` and ``refuse`` make the app's envelopes."""

    def __init__(self, answer: Callable[[Any], Any], refuse: Callable[[FunaiError], Any]) -> None:
        self._answer, self._refuse = answer, refuse
        self._known: list[tuple[re.Pattern[str], Shortcut[Any]]] = []

    def add(self, shortcuts: Iterable[Shortcut[Any]]) -> None:
        self._known += [(s.match(), s) for s in shortcuts]

    async def take(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """None when it was answered; else what the route is to receive."""
        if scope["method"] != "POST":
            return receive
        for pattern, shortcut in self._known:
            found = pattern.fullmatch(scope["path"])
            if found and (number := int(found[1]) if found.groups() else 0) <= MAX_ID:
                return await self._run(shortcut, number, scope, receive, send)
        return receive

    async def _run(self, shortcut: Shortcut[Any], number: int, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        body = await _whole(receive)
        if body is None:
            return _again(b"", receive, gone=True)
        request = Request(scope, receive)
        ask = await shortcut.read(request, body)
        if ask is None:
            return _again(body, receive)
        scope["route"] = SimpleNamespace(path=shortcut.path)
        try:
            response = self._answer(await shortcut.work(request, ask, number))
        except FunaiError as e:
            response = self._refuse(e)
        await response(scope, receive, send)
        return None


async def _whole(receive: Receive) -> bytes | None:
    """The request's body; None when its sender has gone."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive, *, gone: bool = False) -> Receive:
    """The same request for the next reader."""
    told = False

    async def replay() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.disconnect"} if gone else {"type": "http.request", "body": body, "more_body": False}

    return replay
