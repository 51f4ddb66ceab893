"""Settings of the console process (``funai serve console``)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import field_validator

from funai.base.config.settings import Settings, key
from funai.base.http.guards import networks


class ConsoleSettings(Settings):
    """Where the console listens, and where it finds the API."""

    title: ClassVar[str] = "Console"

    host: str = key("funai.console.host", "0.0.0.0", doc="Address to listen on")
    port: int = key("funai.console.port", 8081, doc="Port to listen on", ge=0, le=65535)
    api_base_url: str = key("funai.console.api-base-url", "http://127.0.0.1:8080", doc="Where the API answers")
    https: bool = key(
        "funai.console.https",
        False,
        doc="People reach the console over HTTPS (a proxy in front ends it): cookies get Secure and the __Host- prefix",
    )
    trusted_proxies: list[str] = key(
        "funai.console.trusted-proxies", [], doc="Proxies (addresses or CIDRs) whose X-Forwarded-For counts"
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, v: list[str]) -> list[str]:
        networks(v, "funai.console.trusted-proxies")
        return v
