"""The registry as a job meets it: the house's client, with each of its failures mapped to the job's own."""

from __future__ import annotations

import base64
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from funai.base.clients.registry.contract import RegistryFailed, Why
from funai.base.clients.registry.distribution import Manifest, Manifests
from funai.base.clients.registry.http import Login, RegistryHttp, is_insecure
from funai.contracts.reasons import FailureCode, Reason
from funai.contracts.rules import ImageRef
from funai.i18n.reasons import render
from funai.runner.failures import JobFailed

T = TypeVar("T")
_CODES = {Why.AUTH: FailureCode.REGISTRY_AUTH, Why.PRIVATE: FailureCode.CONTRACT_INVALID}
_WORDS = {
    Why.LIMITED: Reason.JOB_REGISTRY_LIMITED,
    Why.FULL: Reason.JOB_REGISTRY_FULL,
    Why.QUOTA: Reason.JOB_REGISTRY_QUOTA,
    Why.IMMUTABLE: Reason.JOB_REGISTRY_IMMUTABLE,
    Why.NO_REGISTRY: Reason.JOB_NO_REGISTRY,
    Why.PRIVATE: Reason.JOB_REGISTRY_PRIVATE,
}


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    registry: str
    username: str
    password: str


class Registry:
    """Calls raise JobFailed REGISTRY_UNREACHABLE, REGISTRY_AUTH or CONTRACT_INVALID; a tag that isn't there is None."""

    def __init__(
        self,
        login: RegistryLogin | None,
        insecure: frozenset[str],
        *,
        trusted: frozenset[str] = frozenset(),
        timeout: float = 5,
    ) -> None:
        logins = self._logins = {login.registry: Login(login.username, login.password)} if login else {}
        self._http = RegistryHttp(
            logins, plain=lambda registry: is_insecure(registry, insecure), trusted=trusted | insecure, timeout=timeout
        )
        self._manifests = Manifests(self._http)

    def trust(self, registry: str) -> None:
        """The platform itself names this registry: it may be at a private address."""
        self._http.trust(registry)

    async def _told(self, image: ImageRef, call: Coroutine[None, None, T]) -> T:
        try:
            return await call
        except RegistryFailed as e:
            raise failure(image.registry or "docker.io", e, login=image.registry in self._logins) from e

    async def check_reach(self, image: ImageRef) -> None:
        """Raises JobFailed when the engine, asked to pull the image, would reach a private address."""
        if await self._http.leads_inside(image.registry):
            raise failure(image.registry, RegistryFailed(str(image), Why.PRIVATE))

    async def close(self) -> None:
        await self._http.close()

    @property
    def http(self) -> RegistryHttp:
        """The client below, for requests that are handed on."""
        return self._http

    async def digest(self, image: ImageRef) -> str | None:
        """The digest that the tag (default ``latest``) points at now."""
        return await self._told(image, self._manifests.digest(image))

    async def manifest(self, image: ImageRef) -> Manifest | None:
        return await self._told(image, self._manifests.manifest(image))

    async def tag(self, image: ImageRef, manifest: Manifest, tag: str) -> None:
        """Point one more tag at a manifest that is there: one request, all or nothing."""
        await self._told(image, self._manifests.tag(image, manifest, tag))

    async def delete(self, image: ImageRef, digest: str) -> None:
        """Remove a manifest with its tags; one that isn't there is fine."""
        await self._told(image, self._manifests.delete(image, digest))

    async def takes(self, image: ImageRef) -> None:
        """Raises JobFailed when the registry can't store anything in the image's repository."""
        await self._told(image, self._manifests.takes(image))


def failure(registry: str, error: RegistryFailed, *, login: bool = False) -> JobFailed:
    """What the job says. Only a registry that is away may be back in a moment: nothing else is tried again."""
    code = _CODES.get(error.why, FailureCode.REGISTRY_UNREACHABLE)
    words = _WORDS.get(error.why) if error.why is not Why.AUTH or login else Reason.JOB_REGISTRY_NO_LOGIN
    message = "\n".join(render(words, language, {"registry": registry}) for language in ("zh", "en")) if words else None
    again = error.why in (Why.AWAY, Why.REFUSED)
    return JobFailed(
        code, [] if code is FailureCode.REGISTRY_AUTH else [error.detail], message=message, again=again, registry=registry
    )


def auth_config(login: RegistryLogin | None) -> str:
    """The engine's ``config.json``: the login of one registry."""
    if login is None:
        return "{}"
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return json.dumps({"auths": {login.registry: {"auth": auth}}})
