"""Names of apps' own in the running proxy: a map of host → app id beside the routes' map, and its copy on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from funai.base.files import write_whole
from funai.contracts.routes import GatewayError
from funai.gateway.haproxy.live_map import LiveMap
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError

_HEAD = "# names of apps' own\n"
"""HAProxy wants a map file that is not empty."""


class HostMap:
    """The file is written first, so that a process that starts meanwhile reads it; then the running process is notified."""

    def __init__(self, api: RuntimeApi, file: Path, lock: asyncio.Lock) -> None:
        self._live, self._file, self._lock = LiveMap(api, str(file)), file, lock

    @staticmethod
    def ensure(file: Path) -> None:
        """Have a file before the proxy starts. Blocking. Raises OSError."""
        if not file.exists():
            write_whole(file, _HEAD)

    async def set(self, hosts: Mapping[str, str]) -> None:
        """Serve exactly these. Raises GatewayError."""
        text = _HEAD + "".join(f"{host} {app}\n" for host, app in sorted(hosts.items()))
        async with self._lock:
            try:
                await asyncio.to_thread(write_whole, self._file, text)
                await self._live.replace(hosts)
            except OSError as e:
                raise GatewayError(f"the file of hosts can't be written: {e}") from e
            except RuntimeApiError as e:
                raise GatewayError(f"the proxy did not take the hosts: {e}") from e
