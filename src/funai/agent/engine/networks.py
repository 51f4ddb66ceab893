"""An engine's networks. Podman's are made and read through its own API; see ``_inspect``."""

from __future__ import annotations

from urllib.parse import quote

from funai.agent.engine import readings
from funai.agent.engine.client import EngineClient, again, mapped
from funai.agent.engine.contract import EngineRefused, Neighbour, Network, NetworkSpec, NoSuchContainer


class EngineNetworks:
    def __init__(self, client: EngineClient) -> None:
        self._client = client

    async def ensure(self, spec: NetworkSpec) -> Network:
        """Raises EngineRefused."""
        try:
            return await self._inspect(spec.name)
        except NoSuchContainer:
            pass
        try:
            if await self._client.is_podman():
                await self._client.libpod("POST", "networks/create", _podman_body(spec))
            else:
                with mapped():
                    await self._client.api.networks.create(_docker_body(spec))
        except EngineRefused as e:
            try:
                return await self._inspect(spec.name)  # another caller made it meanwhile
            except NoSuchContainer:
                raise e from None
        return await self._inspect(spec.name)

    async def _inspect(self, name: str) -> Network:
        """Raises NoSuchContainer.

        Podman's Docker-like API answers this too, but while it does so it takes the option ``isolate`` out of the network
        that the service has in memory: containers started later would not be isolated.
        """
        if await self._client.is_podman():
            return readings.podman_network(await self._client.libpod("GET", f"networks/{quote(name, safe='')}/json"))
        with mapped():
            return readings.network(await (await self._client.api.networks.get(name)).show())

    async def all(self) -> list[Network]:
        if await self._client.is_podman():
            return [readings.podman_network(n) for n in await self._client.libpod("GET", "networks/json")]
        with mapped():
            return [readings.network(n) for n in await again(self._client.api.networks.list)]

    async def neighbours(self, name: str) -> list[Neighbour]:
        with mapped():
            rows = await again(lambda: self._client.api.containers.list(filters={"network": [name]}))
            listed = [{key: row[key] for key in ("Names", "Labels", "NetworkSettings")} for row in rows]
        return [found for row in listed if (found := readings.neighbour(row, name))]

    async def remove(self, name: str) -> None:
        """One that is gone is no error. Raises EngineRefused while it is in use."""
        try:
            if await self._client.is_podman():
                await self._client.libpod("DELETE", f"networks/{quote(name, safe='')}")
            else:
                with mapped():
                    await (await self._client.api.networks.get(name)).delete()
        except NoSuchContainer:
            return


def _podman_body(spec: NetworkSpec) -> dict[str, object]:
    body: dict[str, object] = {
        "name": spec.name,
        "driver": "bridge",
        "dns_enabled": True,
        "labels": dict(spec.labels),
        "options": {"isolate": "true"} if spec.isolate else {},
    }
    if spec.subnet:
        body["subnets"] = [{"subnet": spec.subnet}]
    if spec.interface:
        body["network_interface"] = spec.interface
    return body


def _docker_body(spec: NetworkSpec) -> dict[str, object]:
    options = {"com.docker.network.bridge.enable_icc": "false"} if spec.isolate else {}
    if spec.interface:
        options["com.docker.network.bridge.name"] = spec.interface
    body: dict[str, object] = {
        "Name": spec.name,
        "Driver": "bridge",
        "Options": options,
        "Labels": dict(spec.labels),
        "CheckDuplicate": True,
    }
    if spec.subnet:
        body["IPAM"] = {"Driver": "default", "Config": [{"Subnet": spec.subnet}]}
    return body
