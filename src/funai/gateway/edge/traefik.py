"""The edge's table as one file of dynamic configuration, for a Traefik that the operator runs (file provider)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from funai.base.files import write_whole
from funai.contracts.routes import GatewayError
from funai.gateway.edge.table import Changed, EdgeTable
from funai.gateway.settings import GatewaySettings
from funai.gateway.traefik import config as traefik

FILE = "funai-edge.yml"
_HOST_PRIORITY = 1000
"""Above every path rule, whose priority is its length: on its own name an app has all paths."""


def edge_config(table: EdgeTable, wildcard_domain: str, entrypoints: list[str]) -> dict[str, Any]:
    """Routers of all apps whose node has an address, and a service for each of those nodes. Pure.

    Nodes rewrite; Traefik passes paths and the host as they are (``passHostHeader``, its default).
    """
    urls = {n.id: n.url for n in table.nodes.values() if n.url}
    apps = {app_id: node_id for app_id, node_id in table.apps.items() if node_id in urls}
    routers: dict[str, Any] = {}
    for app_id, node_id in apps.items():
        routers[f"rt-app-{app_id}"] = {"rule": traefik.rule(app_id), "service": f"rt-node-{node_id}"}
        if wildcard_domain:
            rule = traefik.host_rule(app_id, wildcard_domain)
            routers[f"rt-host-{app_id}"] = {"rule": rule, "priority": _HOST_PRIORITY, "service": f"rt-node-{node_id}"}
    for name in table.names.values():
        host = f"{name.name}.{wildcard_domain}" if name.alias else name.name
        if name.app_id not in apps or (name.alias and not wildcard_domain):
            continue
        service = f"rt-node-{apps[name.app_id]}"
        routers[f"rt-name-{name.name}"] = {"rule": f"Host(`{host}`)", "priority": _HOST_PRIORITY, "service": service}
    if not routers:
        return {}
    if entrypoints:
        routers = {name: {**router, "entryPoints": entrypoints} for name, router in routers.items()}
    used = sorted(set(apps.values()))
    services = {f"rt-node-{node_id}": {"loadBalancer": {"servers": [{"url": urls[node_id]}]}} for node_id in used}
    return {"http": {"routers": routers, "services": services}}


class TraefikEdge:
    """Writes the file anew at each change; Traefik watches its folder."""

    def __init__(self, settings: GatewaySettings) -> None:
        if settings.traefik_dir is None:
            raise GatewayError("gateway.traefik-dir is not set")
        self._settings, self._file = settings, settings.traefik_dir / FILE
        self._failed = False

    @property
    def healthy(self) -> bool:
        return not self._failed

    async def start(self, table: EdgeTable, *, sure: bool) -> None:
        if sure:
            await self.show(table, None)

    async def show(self, table: EdgeTable, changed: Changed | None) -> None:
        if changed is not None and not (changed.apps or changed.names):
            return
        wanted = edge_config(table, self._settings.wildcard_domain, self._settings.traefik_entrypoints)
        text = json.dumps(wanted, indent=1) + "\n"
        try:
            await asyncio.to_thread(self._write, text)
        except OSError as e:
            self._failed = True
            raise GatewayError(f"gateway.traefik-dir can't be used: {e}") from e
        self._failed = False

    def _write(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        if not self._file.exists() or self._file.read_text(encoding="utf-8") != text:
            write_whole(self._file, text, 0o644)

    async def close(self) -> None:
        """The file stays."""

    async def stop(self) -> None:
        """The file stays."""
