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


Work = Callable[[Send], Awaitable[None]]


class Shortcuts:
    """All of an app's, found by path.

    ``answer`` and ``refuse`` make the app's envelopes; ``around`` is its edge; bodies over ``max_body`` bytes are the route's.
    """

    def __init__(
        self,
        answer: Callable[[Any], Any],
        refuse: Callable[[FunaiError], Any],
        around: Callable[[Scope, Receive, Send, Work], Awaitable[None]],
        max_body: int,
    ) -> None:
        self._answer, self._refuse, self._around, self._max_body = answer, refuse, around, max_body
        self._plain: dict[str, _Known] = {}
        self._numbered: list[_Known] = []

    def add(self, shortcuts: Iterable[Shortcut[Any]]) -> None:
        for shortcut in shortcuts:
            known = _Known(shortcut, shortcut.match(), SimpleNamespace(path=shortcut.path))
            if known.pattern.groups:
                self._numbered.append(known)
            else:
                self._plain[shortcut.path] = known

    def _find(self, path: str) -> tuple[_Known, int] | None:
        if known := self._plain.get(path):
            return known, 0
        for known in self._numbered:
            found = known.pattern.fullmatch(path)
            if found and (number := int(found[1])) <= MAX_ID:
                return known, number
        return None

    async def take(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """None when it was answered; else what the route is to receive."""
        found = self._find(scope["path"]) if scope["method"] == "POST" else None
        if found is None:
            return receive
        read = await _whole(receive, self._max_body)
        if not isinstance(read, bytes):
            return _again(read, receive)
        known, number = found
        request = Request(scope, receive)
        ask = await known.shortcut.read(request, read)
        if ask is None:
            return _again([{"type": "http.request", "body": read, "more_body": False}], receive)
        scope["route"] = known.route

        async def work(sending: Send) -> None:
            try:
                response = self._answer(await known.shortcut.work(request, ask, number))
            except FunaiError as e:
                response = self._refuse(e)
            await response(scope, receive, sending)

        await self._around(scope, receive, send, work)
        return None


@dataclass(frozen=True, slots=True)
class _Known:
    shortcut: Shortcut[Any]
    pattern: re.Pattern[str]
    route: SimpleNamespace
    """As the figures of requests want it."""


async def _whole(receive: Receive, limit: int) -> bytes | list[Message]:
    """The request's body; the messages so far when its sender has gone or it is over the limit."""
    message = await receive()
    seen, size = [message], len(message.get("body", b""))
    while message.get("more_body", False) and size <= limit:
        message = await receive()
        seen.append(message)
        size += len(message.get("body", b""))
    if message["type"] == "http.disconnect" or size > limit:
        return seen
    return b"".join(m.get("body", b"") for m in seen)


def _again(told: list[Message], receive: Receive) -> Receive:
    """The same request for the next reader."""
    left = iter(told)

    async def replay() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return replay
