"""The driver that the settings name."""

from __future__ import annotations

import httpx

from funai.base.clients.registry.contract import ImageRegistry
from funai.base.clients.registry.distribution import Distribution
from funai.base.clients.registry.harbor import Harbor
from funai.base.clients.registry.http import Login, RegistryHttp
from funai.deploy.settings import DeploySettings, RegistryKind


def open_registry(settings: DeploySettings, http: httpx.AsyncBaseTransport | None = None) -> ImageRegistry:
    """Nothing is asked of the registry yet. Close it."""
    scheme = "http" if settings.cleanup_insecure else "https"
    base = httpx.URL(settings.cleanup_base_url or f"{scheme}://{settings.cleanup_registry}")
    address = base.netloc.decode()
    login = Login(settings.cleanup_username, settings.cleanup_password.get_secret_value())
    guard = RegistryHttp(
        {address: login} if login.username else {},
        plain=lambda _: base.scheme == "http",
        trusted=[address],
        timeout=settings.cleanup_timeout_seconds,
        http=http,
    ).at(address)
    return Harbor(guard) if settings.cleanup_kind is RegistryKind.HARBOR else Distribution(guard)
