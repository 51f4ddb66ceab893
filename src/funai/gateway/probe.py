"""Asking the public address which generation answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from funai.contracts.routes import GatewayError

GENERATION_HEADER = "X-Funai-Generation"
PROBE_HEADER = "X-Funai-Probe"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes
    """Empty unless asked for."""


class Prober:
    """One client for all questions. ``verify=False``: the address is ours, reached by an address no certificate names."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(verify=False, trust_env=False, follow_redirects=False)  # noqa: S501 - see above

    async def ask(self, url: str, headers: Mapping[str, str], timeout: float, *, body: int = 0) -> Answer:
        """The head of the answer; its body only when it is declared to have at most ``body`` bytes, because it may never
        end. Raises GatewayError."""
        try:
            async with asyncio.timeout(timeout):
                request = self._client.build_request("GET", url, headers=dict(headers))
                response = await self._client.send(request, stream=True)
                try:
                    declared = response.headers.get("content-length", "")
                    small = declared.isdigit() and int(declared) <= body
                    return Answer(response.status_code, response.headers, await response.aread() if small else b"")
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as e:
            raise GatewayError(f"the public address did not answer {url}: {str(e) or type(e).__name__}") from e

    async def aclose(self) -> None:
        await self._client.aclose()


def generation_of(response: Answer) -> int:
    """What the gateway said; 0 when it answered itself, or said nothing."""
    value = response.headers.get(GENERATION_HEADER, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def local_url(host: str, port: int, scheme: str = "http") -> str:
    """How a process on this machine reaches a listener bound to ``host``."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
