"""Getting an image: by digest it may be here already; a tag is asked for at its registry first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from funai.agent.engine.contract import Engine, EngineError, Image, Login, NoSuchImage, PullFailed
from funai.agent.settings import RuntimeSettings
from funai.base.config import logins
from funai.base.observability import log
from funai.contracts import rules
from funai.contracts.reasons import FailureCode

ASK_SECONDS = 5
_DETAIL = 400


class NotFetched(PullFailed):
    """No image: ``failure`` is IMAGE_NOT_FOUND, REGISTRY_UNREACHABLE or REGISTRY_AUTH, ``params`` what its sentence names."""

    def __init__(self, failure: FailureCode, words: str, **params: str) -> None:
        super().__init__(words)
        self.failure = failure
        self.params: dict[str, Any] = params


@dataclass(frozen=True, slots=True)
class Found:
    """An image in the engine's store, and the name or id under which the engine finds it."""

    image: Image
    name: str


class Images:
    def __init__(self, settings: RuntimeSettings, engine: Engine) -> None:
        self._engine = engine
        self.registry = settings.registry_url.removeprefix("https://").removeprefix("http://").rstrip("/")
        self._login = (
            Login(settings.registry_username, settings.registry_password.get_secret_value())
            if settings.registry_username and settings.registry_password
            else None
        )

        self._held: Counter[str] = Counter()
        self._naming: dict[str, asyncio.Task[None]] = {}

    @property
    def held(self) -> frozenset[str]:
        """References that running rollouts use: their containers may not exist yet."""
        return frozenset(self._held)

    @contextmanager
    def holding(self, ref: str) -> Iterator[None]:
        self._held[ref] += 1
        try:
            yield
        finally:
            self._held[ref] -= 1
            if not self._held[ref]:
                del self._held[ref]

    async def fetch(self, ref: str, local: Found | None) -> Found:
        """The image, pulled when it is not here (``local``).

        Raises NotFetched.
        A digest that is present is not pulled (a runner on the same machine shares the engine's store). A tag may have
        moved, so it is pulled; when that fails, an image that is present under it is used.
        """
        parsed = rules.parse_image(ref)
        if local and (parsed.digest or not parsed.registry or parsed.registry == "localhost"):
            return local
        try:
            return await self._pull(ref)
        except PullFailed as e:
            if local:
                log.get("images").warning("image.not_refreshed", image=ref, why=str(e))
                return local
            raise await self._why(parsed, str(e)) from e

    async def local(self, ref: str, id: str | None = None) -> Found | None:
        """What the engine's store has under this reference, else by this id (of a configuration; for a digest only)."""
        by_id = [id] if id and rules.parse_image(ref).digest else []
        for name in (ref, *by_id):
            with suppress(NoSuchImage):
                return Found(await self._engine.image(name), name)
        return None

    def name_later(self, ref: str, found: Found) -> None:
        """Have the engine know an image that was found by its id under its reference too, as a pull would have.

        A release that is kept then stays here, and runs again without its registry. Nothing waits for it.
        """
        if found.name != ref and ref not in self._naming:
            task = self._naming[ref] = asyncio.create_task(self._name(ref), name=f"name:{ref}")
            task.add_done_callback(lambda _: self._naming.pop(ref, None))

    async def named(self, wanted: Callable[[str], bool], seconds: float) -> None:
        """Wait, so long at most, until the references that are ``wanted`` have got their names, or failed to."""
        under_way = [task for ref, task in self._naming.items() if wanted(ref)]
        if under_way:
            await asyncio.wait(under_way, timeout=seconds)

    async def remove(self, ref: str) -> bool:
        """Whether the name is gone. What fails is left and logged: an engine may refuse a name under which it holds an image
        that was also built or tagged there."""
        try:
            return await self._engine.remove_image(ref)
        except EngineError as e:
            log.get("retire").warning("image.left", image=ref, why=str(e))
            return False

    async def _name(self, ref: str) -> None:
        try:
            with self.holding(ref):
                await self._pull(ref)
        except EngineError as e:
            log.get("images").info("image.not_named", image=ref, why=str(e))

    async def _pull(self, ref: str) -> Found:
        registry = rules.parse_image(ref).registry
        return Found(await self._engine.pull(ref, self._login_of(registry)), ref)

    def _login_of(self, registry: str) -> Login | None:
        """The one that is set for its registry, else what ``docker login`` or ``podman login`` left on this machine."""
        if self._login and registry == self.registry:
            return self._login
        left = logins.find(registry) if registry else None
        return Login(*left) if left else None

    async def close(self) -> None:
        """What isn't named by now stays as it is."""
        tasks = list(self._naming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _why(self, ref: rules.ImageRef, words: str) -> NotFetched:
        """Our own registry is asked itself, so that its being away is not blamed on the image."""
        if ref.registry and ref.registry == self.registry:
            status = await self._status(ref)
            if status is None or status >= 500:
                return NotFetched(FailureCode.REGISTRY_UNREACHABLE, words, registry=ref.registry)
            if status in (401, 403):
                return NotFetched(FailureCode.REGISTRY_AUTH, words, registry=ref.registry)
        return NotFetched(FailureCode.IMAGE_NOT_FOUND, words, image=str(ref), detail=words[:_DETAIL])

    async def _status(self, ref: rules.ImageRef) -> int | None:
        """What the registry answers about the manifest; None when it can't be reached."""
        auth = (self._login.username, self._login.password) if self._login else None
        path = f"/v2/{ref.path}/manifests/{ref.digest or ref.tag or 'latest'}"
        async with httpx.AsyncClient(trust_env=False, timeout=ASK_SECONDS, auth=auth) as http:
            for scheme in ("https", "http"):
                try:
                    return (await http.head(f"{scheme}://{ref.registry}{path}")).status_code
                except httpx.HTTPError:
                    continue
        return None


def digest_of(ref: str, image: Image) -> str:
    """The digest that names this image at its registry, else the engine's own id."""
    wanted = rules.parse_image(ref).digest
    return wanted or next(iter(image.digests), image.id)
