"""Docker and Podman over the Docker Engine API on a unix socket.

Podman answers the same API; the few places where it differs ask ``EngineClient.is_podman``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiodocker

from funai.agent.engine import capabilities, readings
from funai.agent.engine.client import EngineClient, again, mapped
from funai.agent.engine.contract import (
    Container,
    ContainerSpec,
    EngineInfo,
    EngineRefused,
    NameTaken,
    Neighbour,
    Network,
    NetworkSpec,
    NoSuchImage,
    Phase,
)
from funai.agent.engine.files import DockerFiles
from funai.agent.engine.images import DockerImages
from funai.agent.engine.logs import DockerLogs
from funai.agent.engine.networks import EngineNetworks
from funai.base.observability import log

WAIT_SETTLES, WAIT_LOOKS = 0.03, 2.0
OWN_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Docker binds these from its data root, writable and without a limit."""
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Docker's default: a list of ours replaces it."""
_LIMIT_FLAGS = {"CpuCfsQuota": "cpu", "MemoryLimit": "memory", "PidsLimit": "pids"}


class DockerEngine(DockerImages, DockerLogs, DockerFiles):
    """``socket`` is a path. Every method follows ``engine.contract``. Close it: it owns connections."""

    def __init__(self, socket: str) -> None:
        super().__init__(EngineClient(socket))
        self._networks = EngineNetworks(self._client)
        self._init = True

    async def info(self) -> EngineInfo:
        podman = await self._client.is_podman()
        with mapped():
            info: dict[str, Any] = await self._api.system.info()
            version = str(info.get("ServerVersion") or (await self._api.version()).get("Version"))
        rootless = bool(info.get("Rootless")) or "rootless" in " ".join(info.get("SecurityOptions") or [])
        # Cgroup v1 can't be delegated to an ordinary user: the engine then takes limits and ignores them.
        powerless = rootless and str(info.get("CgroupVersion", "")).lstrip("v") == "1"
        return EngineInfo(
            kind="podman" if podman else "docker",
            version=version,
            rootless=rootless,
            data_root=str(info.get("DockerRootDir") or ""),
            platform=readings.platform(str(info.get("OSType") or "linux"), str(info.get("Architecture") or "")),
            missing_limits=tuple(word for flag, word in _LIMIT_FLAGS.items() if powerless or info.get(flag) is False),
        )

    # -- images -----------------------------------------------------------------------------------------------------

    # -- networks ---------------------------------------------------------------------------------------------------

    async def ensure_network(self, spec: NetworkSpec) -> Network:
        return await self._networks.ensure(spec)

    async def remove_network(self, name: str) -> None:
        await self._networks.remove(name)

    async def networks(self) -> list[Network]:
        return await self._networks.all()

    async def neighbours(self, network: str) -> list[Neighbour]:
        return await self._networks.neighbours(network)

    # -- containers -------------------------------------------------------------------------------------------------

    async def create(self, spec: ContainerSpec) -> str:
        try:
            return await self._create_with(spec, init=self._init and spec.init)
        except NoSuchImage:
            raise
        except EngineRefused as e:
            if existing := await self._existing(spec.name):
                return _adopt(existing, spec, e)
            if not (self._init and spec.init):
                raise
            created = await self._create_with(spec, init=False)
        # It works without: the engine has no init program. Remembered, so that the next one is made at once.
        self._init = False
        log.get("engine").warning(
            "engine.no_init",
            why=f"{self._client.socket} can't give containers an init process; install catatonit (Podman)",
        )
        return created

    async def _existing(self, name: str) -> Container | None:
        with mapped():
            try:
                return readings.container(await self._api.containers.container(name).show())
            except aiodocker.DockerError as e:
                if e.status == 404:
                    return None
                raise

    async def _create_with(self, spec: ContainerSpec, *, init: bool) -> str:
        body = creation(spec, podman=await self._client.is_podman(), init=init)
        with mapped(missing=NoSuchImage):
            return str((await self._api.containers.create(body, name=spec.name)).id)

    async def start(self, id: str) -> None:
        with mapped():
            await self._api.containers.container(id).start()

    async def stop(self, id: str, grace: float) -> None:
        with mapped():
            await self._api.containers.container(id).stop(t=max(1, round(grace)))

    async def remove(self, id: str) -> None:
        with mapped():
            try:
                await again(lambda: self._api.containers.container(id).delete(force=True, v=True))
            except aiodocker.DockerError as e:
                if e.status != 404:
                    raise

    async def rename(self, id: str, name: str) -> None:
        with mapped():
            try:
                await self._api.containers.container(id).rename(name)
            except aiodocker.DockerError as e:
                holder = await self._existing(name)
                if holder is None or e.status == 404:
                    raise
                if holder.id != (await self.inspect(id)).id:
                    raise NameTaken(name) from e

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        found = await self._listed({"label": [f"{k}={v}" for k, v in labels.items()]})
        # To Podman an empty value means any value: a platform without an instance would take every other's containers.
        return [c for c in found if labels.items() <= dict(c.labels).items()]

    async def unlabelled(self, pattern: str, label: str) -> list[Container]:
        return await self._listed({"name": [pattern]}, without=label)

    async def _listed(self, filters: dict[str, list[str]], without: str = "") -> list[Container]:
        with mapped():
            rows = await again(lambda: self._rows(filters))
            found: list[Container] = []
            for row in rows:
                if without and without in (row["Labels"] or {}):
                    continue
                try:
                    found.append(readings.container(await again(row.show)))
                except aiodocker.DockerError as e:
                    if e.status != 404:
                        raise
        return found

    async def _rows(self, filters: dict[str, list[str]]) -> list[Any]:
        """A list can't lack a container: Podman's 404 says that one went while it listed, so the list is asked again."""
        try:
            return await self._api.containers.list(all=True, filters=filters)
        except aiodocker.DockerError as e:
            if e.status == 404:
                raise aiodocker.DockerError(500, e.message) from e
            raise

    async def next_exit(self, id: str) -> int:
        """Docker reads the code only when its waiter wakes, and a container that it has started again by then shows 0
        (``State.Wait`` of its daemon): a zero of one that was restarted, which only a failure is, is not believed.
        """
        while not (code := await self._first_exit(id)):
            now = await self.inspect(id)
            if not now.restarts:
                return code
            if now.exit_code is not None:
                return now.exit_code
        return code

    async def _first_exit(self, id: str) -> int:
        waiting = asyncio.ensure_future(self._wait(id))
        try:
            # It may have ended before the engine heard of our waiting, so it is looked at as well, ever more seldom.
            pause = WAIT_SETTLES
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=pause)
                pause = min(pause * 4, WAIT_LOOKS)
                if not waiting.done():
                    now = await self.inspect(id)
                    if now.phase is Phase.EXITED and now.exit_code is not None:
                        return now.exit_code
            return waiting.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _wait(self, id: str) -> int:
        with mapped():
            return int((await self._api.containers.container(id).wait(condition="next-exit"))["StatusCode"])

    async def close(self) -> None:
        await self._client.close()


def creation(spec: ContainerSpec, *, podman: bool, init: bool) -> dict[str, Any]:
    """The body of ``POST /containers/create``."""
    limits, (drop, add) = spec.limits, capabilities.changes(spec.capabilities)
    log_options = {"max-size": str(limits.log_bytes)} if limits.log_bytes else {}
    if not podman and limits.log_bytes:
        log_options["max-file"] = "1"
    host: dict[str, Any] = {
        "NetworkMode": f"container:{spec.beside}" if spec.beside else spec.network,
        "SecurityOpt": ["no-new-privileges"],
        "CapDrop": drop,
        "CapAdd": add,
        "Init": init,
        "LogConfig": {"Type": "k8s-file" if podman else "json-file", "Config": log_options},
    }
    if spec.files:
        host["Binds"] = [f"{source}:{target}:ro,z" for target, source in spec.files.items()]
    if not podman:
        host["ReadonlyPaths"] = [*READ_ONLY_PATHS, *(path for path in OWN_FILES if path not in spec.files)]
    if limits.cpus:
        host["NanoCpus"] = int(limits.cpus * 1_000_000_000)
    if limits.memory:
        swap = limits.memory if limits.memory_swap is None else limits.memory_swap or -1
        host["Memory"], host["MemorySwap"] = limits.memory, swap
    if limits.cpu_shares:
        host["CpuShares"] = limits.cpu_shares
    if limits.cpuset:
        host["CpusetCpus"] = limits.cpuset
    if limits.pids:
        host["PidsLimit"] = limits.pids
    if spec.restarts:
        host["RestartPolicy"] = {"Name": "on-failure", "MaximumRetryCount": spec.restarts}
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{k}={v}" for k, v in spec.env.items()],
        "Labels": dict(spec.labels),
        "HostConfig": host,
        **_network(spec),
        **_command(spec),
    }
    if spec.publish:
        body["ExposedPorts"] = {f"{spec.port}/tcp": {}}
        host["PortBindings"] = {f"{spec.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return body


def _network(spec: ContainerSpec) -> dict[str, Any]:
    if spec.beside:
        return {}
    # The address decides the MAC: the next container with this address then is where the host's ARP cache says.
    endpoint: dict[str, Any] = (
        {"IPAMConfig": {"IPv4Address": spec.address}, "MacAddress": readings.mac_of(spec.address)} if spec.address else {}
    )
    hostname = {"Hostname": spec.hostname} if spec.hostname else {}
    return {"NetworkingConfig": {"EndpointsConfig": {spec.network: endpoint}}, **hostname}


def _command(spec: ContainerSpec) -> dict[str, Any]:
    """What the container has instead of the image's own."""
    own: dict[str, Any] = {"Entrypoint": list(spec.entrypoint), "Cmd": []} if spec.entrypoint else {}
    return own if spec.health_check else {**own, "Healthcheck": {"Test": ["NONE"]}}


def _adopt(existing: Container, spec: ContainerSpec, cause: Exception) -> str:
    """The id of a container that a lost answer left; raises NameTaken when it is another's."""
    if all(existing.labels.get(k) == v for k, v in spec.labels.items()):
        return existing.id
    raise NameTaken(spec.name) from cause
