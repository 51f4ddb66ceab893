"""The connection to an engine: aiodocker for the Docker Engine API, its HTTP session for Podman's own API and log streams.

Foreign exceptions become those of ``engine.contract`` here and nowhere else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import aiodocker
import aiohttp

from funai.agent.engine import imagefaults, readings
from funai.agent.engine.contract import Container, EngineRefused, EngineUnreachable, ImageUnusable, Login, NoSuchContainer
from funai.base.retry import Pauses, retrying

T = TypeVar("T")
CONNECT_SECONDS = 5
READ_SECONDS = 120
"""A start on a loaded machine takes seconds; a call that is silent for this long is lost."""
AGAIN: Pauses = {"tries": 7, "first": 0.025, "longest": 0.8}
BOUNDED = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
ENDLESS = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
NO_ANSWER = 900
"""aiodocker's status of an error that no engine answered."""
_LIBPOD = "http://engine/v4.0.0/libpod"
_MAX_WORDS = 4000


class EngineClient:
    """``socket`` is a path. Use it within one event loop, and close it."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._docker: Any = None
        self._podman: bool | None = None

    @property
    def api(self) -> Any:
        """The aiodocker client; made at first use, as it belongs to the running event loop."""
        if self._docker is None:
            # A connection a call: one to a unix socket costs 0.1 ms, and none is found dead after the engine restarted.
            connector = aiohttp.UnixConnector(self.socket, limit=0, force_close=True)
            session = aiohttp.ClientSession(connector=connector, timeout=BOUNDED)
            self._docker = aiodocker.Docker(url=f"unix://{self.socket}", session=session, timeout=BOUNDED)
        return self._docker

    async def is_podman(self) -> bool:
        """Whether the engine is Podman; asked once."""
        if self._podman is None:
            with mapped():
                parts: list[Any] = (await self.api.version()).get("Components") or []
            self._podman = any("podman" in str(part.get("Name", "")).lower() for part in parts)
        return self._podman

    async def libpod(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Podman's own API. Raises EngineRefused, NoSuchContainer (404), EngineUnreachable."""
        with mapped():
            async with self.api.session.request(method, f"{_LIBPOD}/{path}", json=body) as answer:
                await _check(answer)
                return await answer.json(content_type=None)

    async def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        endless: bool = False,
    ) -> AsyncIterator[bytes]:
        """The body of an answer as it comes. ``endless``: silence is no error. Raises what ``mapped`` does.

        aiodocker's own streams end without an error when the engine dies, and leave the connection to the collector.
        """
        timeout = ENDLESS if endless else BOUNDED
        with mapped():
            request = self.api.session.request(method, f"http://engine/{path}", params=params, headers=headers, timeout=timeout)
            async with request as answer:
                await _check(answer)
                async for piece in answer.content.iter_any():
                    yield piece

    async def close(self) -> None:
        if self._docker is not None:
            session = self._docker.session
            await self._docker.close()
            await session.close()


async def _check(answer: aiohttp.ClientResponse) -> None:
    """Raises DockerError with the engine's words for a status of 400 and above."""
    if answer.status >= 400:
        text = await answer.text(errors="replace")
        try:
            words = str((await answer.json(content_type=None))["message"])
        except (ValueError, KeyError, TypeError):
            words = text
        raise aiodocker.DockerError(answer.status, words[:_MAX_WORDS])


@contextmanager
def mapped(missing: type[EngineRefused] = NoSuchContainer) -> Iterator[None]:
    """Maps what aiodocker and aiohttp raise; ``missing`` is what a 404 means.

    An answer that breaks off or can't be read is the engine's death, so it is ``EngineUnreachable``.
    """
    try:
        yield
    except aiodocker.DockerError as e:
        if e.status == NO_ANSWER:
            raise EngineUnreachable(str(e.message)) from e
        words = str(e.message)
        if imagefaults.is_images_own(words):
            raise ImageUnusable(words) from e
        raise (missing if e.status == 404 else EngineRefused)(words) from e
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError) as e:
        raise EngineUnreachable(f"{type(e).__name__}: {e}"[:_MAX_WORDS]) from e


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeats a call that Podman answers with 500 when a container changes meanwhile (removed while it is listed)."""
    return await retrying(call, on=aiodocker.DockerError, when=lambda e: 500 <= e.status < NO_ANSWER, **AGAIN)


def authorization(login: Login | None) -> dict[str, str]:
    """The header that a pull with a login needs."""
    if login is None:
        return {}
    value = json.dumps({"username": login.username, "password": login.password}).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(value).decode()}


class OnEngine:
    """What the parts of the driver stand on."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    @property
    def _api(self) -> Any:
        return self._client.api

    async def inspect(self, id: str) -> Container:
        with mapped():
            return readings.container(await again(lambda: self._api.containers.container(id).show()))
