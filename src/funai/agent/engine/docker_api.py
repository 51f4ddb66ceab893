"""Docker and Podman over the Docker Engine API on a unix socket.

Podman answers the same API; the few places where it differs ask ``EngineClient.is_podman``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import aiodocker

from funai.agent.engine import capabilities, files, readings
from funai.agent.engine.addresses import mac_of
from funai.agent.engine.client import AGAIN, EngineClient, again, authorization, mapped
from funai.agent.engine.contract import (
    Container,
    ContainerSpec,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    FileHead,
    Image,
    Login,
    NameTaken,
    Network,
    NetworkSpec,
    NoSuchContainer,
    NoSuchImage,
    Phase,
    PullFailed,
    StoredImage,
)
from funai.agent.engine.logs import LastLines, read_file, unframe
from funai.agent.engine.networks import EngineNetworks
from funai.base.observability import log
from funai.base.retry import retrying
from funai.contracts import rules

WAIT_SETTLES, WAIT_LOOKS = 0.03, 2.0
OWN_FILES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
"""Docker binds these from its data root, writable and without a limit."""
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Docker's default: a list of ours replaces it."""
_LIMIT_FLAGS = {"CpuCfsQuota": "cpu", "MemoryLimit": "memory", "PidsLimit": "pids"}


class DockerEngine:
    """``socket`` is a path. Every method follows ``engine.contract``. Close it: it owns connections."""

    def __init__(self, socket: str) -> None:
        self._client = EngineClient(socket)
        self._networks = EngineNetworks(self._client)
        self._init = True

    @property
    def _api(self) -> Any:
        return self._client.api

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

    async def image(self, ref: str) -> Image:
        with mapped(missing=NoSuchImage):
            return readings.image(await again(lambda: self._api.images.inspect(ref)))

    async def pull(self, ref: str, login: Login | None) -> Image:
        parsed = rules.parse_image(ref)
        tag = parsed.digest or parsed.tag or "latest"
        lines = b""
        try:
            async for piece in self._client.stream(
                "POST", "images/create", {"fromImage": parsed.repository, "tag": tag}, headers=authorization(login)
            ):
                *whole, lines = (lines + piece).split(b"\n")
                _check_progress(whole)
            _check_progress([lines])
        except EngineRefused as e:
            raise PullFailed(str(e)) from e
        exact = f"{parsed.repository}@{parsed.digest}" if parsed.digest else f"{parsed.repository}:{tag}"
        try:
            return await self.image(exact)
        except NoSuchImage as e:
            # No error was sent, and nothing is there: the stream broke off.
            raise EngineUnreachable(f"the engine ended the pull of {exact} without a result") from e

    async def remove_image(self, ref: str) -> bool:
        with mapped(missing=NoSuchImage):
            try:
                await self._api.images.delete(ref)
            except aiodocker.DockerError as e:
                if e.status in (404, 409):
                    return False
                raise
        return True

    async def images(self) -> list[StoredImage]:
        with mapped():
            rows = await again(self._api.images.list)
        return [image for row in rows if (image := readings.stored(row))]

    async def images_in_use(self) -> frozenset[str]:
        with mapped():
            rows = await again(lambda: self._api.containers.list(all=True))
        return frozenset(readings.bare(str(row["ImageID"])) for row in rows)

    # -- networks ---------------------------------------------------------------------------------------------------

    async def ensure_network(self, spec: NetworkSpec) -> Network:
        return await self._networks.ensure(spec)

    async def remove_network(self, name: str) -> None:
        await self._networks.remove(name)

    async def networks(self) -> list[Network]:
        return await self._networks.all()

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

    async def inspect(self, id: str) -> Container:
        with mapped():
            return readings.container(await again(lambda: self._api.containers.container(id).show()))

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

    async def read_file(self, id: str, path: str) -> FileHead | None:
        for _ in range(files.MAX_LINKS):
            entry = await self._first_entry(id, path)
            if not entry.target:
                return entry.head
            path = entry.target
        return None

    async def _first_entry(self, id: str, path: str) -> files.Entry:
        """Podman refuses while it restarts the container, or sends nothing when its mount goes meanwhile: it is asked again."""

        async def look() -> files.Entry:
            archive = bytearray()
            async for piece in self._client.stream("GET", f"containers/{id}/archive", {"path": path}):
                archive += piece
                if len(archive) >= files.ENOUGH:
                    break
            if not archive:
                raise EngineRefused(f"no archive of {path}")
            return files.first(bytes(archive), path)

        try:
            return await retrying(look, on=EngineRefused, when=lambda e: not isinstance(e, NoSuchContainer), **AGAIN)
        except NoSuchContainer:
            return files.Entry()

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

    async def logs(self, id: str, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        if file := await self._log_file(id):
            try:
                async for piece in read_file(file, tail=tail, follow=follow, running=partial(self._runs, id)):
                    yield piece
            except OSError as e:
                raise EngineRefused(f"the log {file} can't be read: {e.strerror}") from e
            return
        params = {"stdout": "1", "stderr": "1", "follow": str(int(follow)), "tail": "all" if tail is None else str(tail)}
        if tail is not None and not follow:
            last = LastLines(tail)
            async for piece in self._client.stream("GET", f"containers/{id}/logs", {**params, "tail": "all"}):
                last.feed(piece)
            yield last.end()
            return
        buffer = bytearray()
        async for piece in self._client.stream("GET", f"containers/{id}/logs", params, endless=follow):
            buffer.extend(piece)
            if payload := unframe(buffer):
                yield payload

    async def _log_file(self, id: str) -> Path | None:
        """Podman's, when it is one that can be read here."""
        if not await self._client.is_podman():
            return None
        with mapped():
            attrs = await again(lambda: self._api.containers.container(id).show())
        path = readings.log_file(attrs)
        return path if path is not None and await asyncio.to_thread(os.access, path, os.R_OK) else None

    async def _runs(self, id: str) -> bool:
        try:
            return (await self.inspect(id)).phase in (Phase.RUNNING, Phase.RESTARTING)
        except NoSuchContainer:
            return False

    async def close(self) -> None:
        await self._client.close()


def _check_progress(lines: list[bytes]) -> None:
    """Raises PullFailed with the words of a line of progress that tells a failure, EngineUnreachable when one can't be read."""
    for line in filter(None, (line.strip() for line in lines)):
        try:
            error = json.loads(line).get("error")
        except (ValueError, AttributeError) as e:
            raise EngineUnreachable("the engine's progress of a pull can't be read") from e
        if error:
            raise PullFailed(str(error))


def creation(spec: ContainerSpec, *, podman: bool, init: bool) -> dict[str, Any]:
    """The body of ``POST /containers/create``."""
    limits, (drop, add) = spec.limits, capabilities.changes(spec.capabilities)
    log_options = {"max-size": str(limits.log_bytes)} if limits.log_bytes else {}
    if not podman and limits.log_bytes:
        log_options["max-file"] = "1"
    host: dict[str, Any] = {
        "NetworkMode": spec.network,
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
    # The address decides the MAC: the next container with this address then is where the host's ARP cache says.
    endpoint: dict[str, Any] = (
        {"IPAMConfig": {"IPv4Address": spec.address}, "MacAddress": mac_of(spec.address)} if spec.address else {}
    )
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{k}={v}" for k, v in spec.env.items()],
        "Labels": dict(spec.labels),
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {spec.network: endpoint}},
    }
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.publish:
        body["ExposedPorts"] = {f"{spec.port}/tcp": {}}
        host["PortBindings"] = {f"{spec.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    return body


def _adopt(existing: Container, spec: ContainerSpec, cause: Exception) -> str:
    """The id of a container that a lost answer left; raises NameTaken when it is another's."""
    if all(existing.labels.get(k) == v for k, v in spec.labels.items()):
        return existing.id
    raise NameTaken(spec.name) from cause
