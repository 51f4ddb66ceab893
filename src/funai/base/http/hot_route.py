"""A route class for JSON calls that are made all day: it skips FastAPI's dependency solver.

FastAPI's documented hook for this is a custom ``APIRoute``. The endpoint stays an ordinary one, so that OpenAPI shows it.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute

from funai.contracts.wire import MAX_ID, Wire

_ID = re.compile("[1-9][0-9]{0,18}")


class HotRoute(APIRoute):
    """``POST`` with a JSON body. The endpoint is ``async``, answers a Response, and takes by name: one ``Wire`` model (the
    body), the Request, and ids from the path. The router's dependencies take the request alone.

    A request that this handler can't read goes to FastAPI's own handler, which answers what is wrong with it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        general = super().get_route_handler()
        endpoint: Callable[..., Awaitable[Response]] = self.endpoint
        guards = [guard for d in self.dependencies if (guard := d.dependency) is not None]
        hints = get_type_hints(endpoint)
        names = inspect.signature(endpoint).parameters
        body = next((n for n in names if inspect.isclass(hints[n]) and issubclass(hints[n], Wire)), None)
        request_name = next((n for n in names if hints[n] is Request), None)
        ids = [n for n in names if n not in (body, request_name)]

        async def handle(request: Request) -> Response:
            for guard in guards:
                await guard(request)
            given: dict[str, object] = {}
            try:
                for name in ids:
                    given[name] = _id(request.path_params[name])
                if body is not None:
                    given[body] = hints[body].model_validate(await _json(request))
            except (ValueError, RecursionError):
                return await general(request)
            if request_name is not None:
                given[request_name] = request
            return await endpoint(**given)

        return handle


def _id(text: str) -> int:
    """Raises ValueError."""
    if not _ID.fullmatch(text) or (number := int(text)) > MAX_ID:
        raise ValueError(text)
    return number


async def _json(request: Request) -> object:
    """Raises ValueError; TooLarge from the app's edge."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ValueError("not JSON")
    return json.loads(await request.body())
