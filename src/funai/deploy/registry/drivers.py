"""The driver that the settings name."""

from __future__ import annotations

import httpx

from funai.deploy.registry.contract import ImageRegistry
from funai.deploy.registry.distribution import Distribution
from funai.deploy.registry.harbor import Harbor
from funai.deploy.registry.http import RegistryHttp
from funai.deploy.settings import DeploySettings, RegistryKind


def open_registry(settings: DeploySettings, http: httpx.AsyncBaseTransport | None = None) -> ImageRegistry:
    """Nothing is asked of the registry yet. Close it."""
    scheme = "http" if settings.cleanup_insecure else "https"
    door = RegistryHttp(
        settings.cleanup_base_url or f"{scheme}://{settings.cleanup_registry}",
        settings.cleanup_username,
        settings.cleanup_password.get_secret_value(),
        timeout=settings.cleanup_timeout_seconds,
        http=http,
    )
    return Harbor(door) if settings.cleanup_kind is RegistryKind.HARBOR else Distribution(door)
