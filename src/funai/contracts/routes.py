"""The route table: the one thing the runtime-agent asks of a gateway. Drivers live in ``funai.gateway``.

Contract of a driver:

* ``put`` and ``remove`` are idempotent and may be called concurrently for different apps; calls for one app are
  serialised by the caller. When they return, the next request through the gateway follows the new route, and the
  route survives a restart of the proxy.
* ``replace_all`` is called once at start with the truth rebuilt from container labels. A driver that restarts its own
  proxy gives it the whole table again by itself; the caller need not repeat ``replace_all`` then.
* Cancelling a call leaves either the old or the new route, never none.
* They raise ``GatewayError`` when the proxy can't be reached; the caller may retry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class RouteState(StrEnum):
    SERVING = "serving"
    STARTING = "starting"
    """The first generation is being rolled out: the gateway says so on a small page (503, Retry-After)."""
    STOPPED = "stopped"
    """Known, but taken off line: its own page (503)."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where ``/runtime/{app_id}/…`` goes. ``host``/``port`` are reachable from the proxy; empty unless SERVING."""

    app_id: int
    state: RouteState = RouteState.SERVING
    host: str = ""
    port: int = 0
    generation: int = 0
    strip_prefix: bool = True
    """False: the app gets the path as it was asked for, ``/runtime/{app_id}`` included."""
    user_id: int = field(default=0, compare=False)
    """Whose app it is, for shares of the gateway; 0: not known."""


class GatewayError(Exception):
    """The proxy could not be reached or refused a change."""


class Signs(Protocol):
    """How a container beside an app's (a signpost) leads a proxy that reads its routes from containers."""

    def labels(self, route: Route, rank: int, network: str = "") -> Mapping[str, str]:
        """Labels that lead to ``route``'s generation alone. A higher ``rank`` comes first, each before an app's own labels."""
        ...

    async def shown(self, app_id: int, generation: int, *, there: bool) -> bool:
        """Wait, for some seconds at most, until the proxy has read that signpost, or that it is gone. False: it did not."""
        ...


class RouteTable(Protocol):
    async def put(self, route: Route) -> None:
        """Create or replace the app's route."""
        ...

    async def remove(self, app_id: int) -> None:
        """Forget the app: its path answers the unknown-app page (404)."""
        ...

    async def replace_all(self, routes: Sequence[Route]) -> None:
        """Make the table exactly these routes."""
        ...

    async def serving_generation(self, app_id: int, path: str, *, timeout: float) -> tuple[int, int]:
        """Ask for ``path`` below the app through the gateway's public address.

        Returns (HTTP status, generation that answered; 0 when the gateway itself answered). Raises GatewayError.
        """
        ...

    async def connections(self, host: str, port: int) -> int | None:
        """Requests in flight to that upstream right now, open WebSockets and streams included; idle keep-alive is not.

        It may err upwards (while a replaced proxy process still finishes its work), never downwards. None: this
        driver can't tell, so a drain waits for its whole bound. Raises GatewayError.
        """
        ...
