"""Docker and Podman over the Docker Engine API on a unix socket.

The SDK is synchronous: calls run in threads of our own pool (an ``inspect`` takes 2–5 ms, a CLI call 40). Podman
answers the same API, but creates isolated networks only through its own one; the few such places ask ``self._podman``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import docker
import requests.exceptions
from docker import errors
from docker.types import IPAMConfig, IPAMPool, LogConfig

from funai.agent.engine import capabilities, imagefaults, readings
from funai.agent.engine.addresses import mac_of
from funai.agent.engine.contract import (
    Container,
    ContainerSpec,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    Image,
    ImageUnusable,
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
from funai.agent.engine.longcalls import LongCalls
from funai.base.observability import log
from funai.contracts import rules

T = TypeVar("T")
READ_SECONDS = 120
"""A start on a loaded machine takes seconds; a call that takes this long is lost."""
AGAIN_AFTER = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
WAIT_SETTLES, WAIT_LOOKS = 0.03, 2.0
_LIMIT_FLAGS = {"CpuCfsQuota": "cpu", "MemoryLimit": "memory", "PidsLimit": "pids"}
_LIBPOD = "http+docker://localhost/v4.0.0/libpod"


class DockerEngine:
    """``socket`` is a path. Every method follows ``engine.contract``. Close it: it owns threads."""

    def __init__(self, socket: str, *, threads: int = 32) -> None:
        self._url = f"unix://{socket}"
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="engine")
        self._long = LongCalls(socket)
        self._lock = threading.Lock()
        self._client: Any = None
        self._podman = False
        self._init = True

    # -- plumbing ---------------------------------------------------------------------------------------------------

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(_mapped, work))

    @property
    def _api(self) -> Any:
        """The SDK's low-level client; made at first use, when the engine answers."""
        with self._lock:
            if self._client is None:
                client: Any = docker.APIClient(base_url=self._url, version="auto", timeout=READ_SECONDS, max_pool_size=64)
                parts: list[Any] = client.version().get("Components") or []
                self._podman = any("podman" in str(p.get("Name", "")).lower() for p in parts)
                self._client = client
            return self._client

    async def info(self) -> EngineInfo:
        def ask() -> EngineInfo:
            info: dict[str, Any] = self._api.info()
            security = " ".join(info.get("SecurityOptions") or [])
            rootless = bool(info.get("Rootless")) or "rootless" in security
            # Cgroup v1 can't be delegated to an ordinary user: the engine then takes limits and ignores them.
            powerless = rootless and str(info.get("CgroupVersion", "")).lstrip("v") == "1"
            return EngineInfo(
                kind="podman" if self._podman else "docker",
                version=str(info.get("ServerVersion") or self._api.version().get("Version")),
                rootless=rootless,
                data_root=str(info.get("DockerRootDir") or ""),
                missing_limits=tuple(word for flag, word in _LIMIT_FLAGS.items() if powerless or info.get(flag) is False),
            )

        return await self._call(ask)

    # -- images -----------------------------------------------------------------------------------------------------

    async def image(self, ref: str) -> Image:
        return await self._call(partial(_again, lambda: readings.image(self._api.inspect_image(ref))))

    async def pull(self, ref: str, login: Login | None) -> Image:
        return await self._call(partial(self._pull, ref, login))

    def _pull(self, ref: str, login: Login | None) -> Image:
        parsed = rules.parse_image(ref)
        tag = parsed.digest or parsed.tag or "latest"
        auth = {"username": login.username, "password": login.password} if login else None
        try:
            for line in self._api.pull(parsed.repository, tag=tag, stream=True, decode=True, auth_config=auth):
                if line.get("error"):
                    raise PullFailed(str(line["error"]))
        except errors.APIError as e:
            raise PullFailed(str(e.explanation or e)) from e
        exact = f"{parsed.repository}@{parsed.digest}" if parsed.digest else f"{parsed.repository}:{tag}"
        return readings.image(self._api.inspect_image(exact))

    async def remove_image(self, ref: str) -> bool:
        def work() -> bool:
            try:
                self._api.remove_image(ref)
            except errors.APIError as e:
                if e.status_code in (404, 409):
                    return False
                raise
            return True

        return await self._call(work)

    async def images(self) -> list[StoredImage]:
        return await self._call(partial(_again, lambda: [i for row in self._api.images() if (i := readings.stored(row))]))

    async def images_in_use(self) -> frozenset[str]:
        return await self._call(
            partial(_again, lambda: frozenset(readings.bare(str(row["ImageID"])) for row in self._api.containers(all=True)))
        )

    # -- networks ---------------------------------------------------------------------------------------------------

    async def ensure_network(self, spec: NetworkSpec) -> Network:
        return await self._call(partial(self._ensure_network, spec))

    def _ensure_network(self, spec: NetworkSpec) -> Network:
        try:
            return self._inspect_network(spec.name)
        except errors.NotFound:
            pass
        try:
            if self._podman:
                self._podman_network(spec)
            else:
                self._docker_network(spec)
        except errors.APIError as e:
            if e.status_code != 409:
                raise
        return self._inspect_network(spec.name)

    def _inspect_network(self, name: str) -> Network:
        api = self._api  # first: it finds out which engine this is
        if self._podman:
            return readings.podman_network(self._podman_get(f"networks/{quote(name, safe='')}/json"))
        return readings.network(api.inspect_network(name))

    def _podman_get(self, path: str) -> Any:
        """Podman's own API. Its Docker-like one answers about networks too, but while it does so it takes the option
        ``isolate`` out of the network that the service has in memory: containers started later would not be isolated.
        """
        answer = self._api.get(f"{_LIBPOD}/{path}", timeout=READ_SECONDS)
        self._api._raise_for_status(answer)  # pyright: ignore[reportPrivateUsage]
        return answer.json()

    def _podman_network(self, spec: NetworkSpec) -> None:
        body: dict[str, Any] = {
            "name": spec.name, "driver": "bridge", "dns_enabled": True, "labels": dict(spec.labels),
            "options": {"isolate": "true"} if spec.isolate else {},
        }  # fmt: skip
        if spec.subnet:
            body["subnets"] = [{"subnet": spec.subnet}]
        if spec.interface:
            body["network_interface"] = spec.interface
        answer = self._api.post(f"{_LIBPOD}/networks/create", json=body, timeout=READ_SECONDS)
        self._api._raise_for_status(answer)  # pyright: ignore[reportPrivateUsage]

    def _docker_network(self, spec: NetworkSpec) -> None:
        options = {"com.docker.network.bridge.enable_icc": "false"} if spec.isolate else {}
        if spec.interface:
            options["com.docker.network.bridge.name"] = spec.interface
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=spec.subnet)]) if spec.subnet else None
        self._api.create_network(
            spec.name, driver="bridge", ipam=ipam, options=options, labels=dict(spec.labels), check_duplicate=True
        )

    async def remove_network(self, name: str) -> None:
        await self._call(partial(_ignoring_404, lambda: self._api.remove_network(name)))

    async def networks(self) -> list[Network]:
        return await self._call(partial(_again, self._networks))

    def _networks(self) -> list[Network]:
        api = self._api
        if self._podman:
            return [readings.podman_network(n) for n in self._podman_get("networks/json")]
        return [readings.network(n) for n in api.networks()]

    # -- containers -------------------------------------------------------------------------------------------------

    async def create(self, spec: ContainerSpec) -> str:
        return await self._call(partial(self._create, spec))

    def _create(self, spec: ContainerSpec) -> str:
        try:
            return self._create_with(spec, init=self._init)
        except errors.NotFound as e:
            raise NoSuchImage(str(e.explanation or e)) from e
        except errors.APIError as e:
            if e.status_code == 409 or self._existing(spec.name):
                return self._adopt(spec, e)
            if not self._init:
                raise
            created = self._create_with(spec, init=False)
        # It works without: the engine has no init program. Remembered, so that the next one is made at once.
        self._init = False
        log.get("engine").warning(
            "engine.no_init", why=f"{self._url} can't give containers an init process; install catatonit (Podman)"
        )
        return created

    def _adopt(self, spec: ContainerSpec, cause: Exception) -> str:
        existing = self._existing(spec.name)
        if existing and all(existing.labels.get(k) == v for k, v in spec.labels.items()):
            return existing.id
        raise NameTaken(spec.name) from cause

    def _existing(self, name: str) -> Container | None:
        try:
            return readings.container(self._api.inspect_container(name))
        except errors.NotFound:
            return None

    def _create_with(self, spec: ContainerSpec, *, init: bool) -> str:
        limits, (drop, add) = spec.limits, capabilities.changes(spec.capabilities)
        log_options = {"max-size": str(limits.log_bytes)} if limits.log_bytes else {}
        if not self._podman and limits.log_bytes:
            log_options["max-file"] = "1"
        host = self._api.create_host_config(
            network_mode=spec.network,
            nano_cpus=int(limits.cpus * 1_000_000_000) or None,
            mem_limit=limits.memory or None,
            memswap_limit=limits.memory or None,
            pids_limit=limits.pids or None,
            security_opt=["no-new-privileges"],
            cap_drop=drop,
            cap_add=add,
            restart_policy={"Name": "on-failure", "MaximumRetryCount": spec.restarts} if spec.restarts else None,
            log_config=LogConfig(type="k8s-file" if self._podman else "json-file", config=log_options),
            init=init,
            port_bindings={spec.port: ("127.0.0.1",)} if spec.publish else None,
        )
        # The address decides the MAC: the next container with this address then is where the host's ARP cache says.
        address = {"ipv4_address": spec.address, "mac_address": mac_of(spec.address)} if spec.address else {}
        networks = self._api.create_networking_config({spec.network: self._api.create_endpoint_config(**address)})
        made = self._api.create_container(
            spec.image, name=spec.name, environment=dict(spec.env), labels=dict(spec.labels), host_config=host,
            networking_config=networks, ports=[spec.port] if spec.publish else None,
        )  # fmt: skip
        return str(made["Id"])

    async def start(self, id: str) -> None:
        await self._call(lambda: self._api.start(id))

    async def stop(self, id: str, grace: float) -> None:
        await self._call(lambda: self._api.stop(id, timeout=max(1, round(grace))))

    async def remove(self, id: str) -> None:
        await self._call(partial(_again, partial(_ignoring_404, lambda: self._api.remove_container(id, force=True, v=True))))

    async def rename(self, id: str, name: str) -> None:
        await self._call(partial(self._rename, id, name))

    def _rename(self, id: str, name: str) -> None:
        try:
            self._api.rename(id, name)
        except errors.APIError as e:
            holder = self._existing(name)
            if holder is None or e.status_code == 404:
                raise
            if holder.id != readings.container(self._api.inspect_container(id)).id:
                raise NameTaken(name) from e

    async def inspect(self, id: str) -> Container:
        return await self._call(partial(_again, lambda: readings.container(self._api.inspect_container(id))))

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        wanted = {"label": [f"{k}={v}" for k, v in labels.items()]}
        found = await self._call(partial(_again, partial(self._containers, wanted)))
        # To Podman an empty value means any value: a platform without an instance would take every other's containers.
        return [c for c in found if labels.items() <= dict(c.labels).items()]

    async def unlabelled(self, pattern: str, label: str) -> list[Container]:
        return await self._call(partial(_again, partial(self._containers, {"name": [pattern]}, label)))

    def _containers(self, filters: dict[str, list[str]], without: str = "") -> list[Container]:
        found: list[Container] = []
        try:
            rows = self._api.containers(all=True, filters=filters)
        except errors.NotFound as e:
            raise ListMoved(str(e.explanation or e)) from e
        for row in rows:
            if without and without in (row.get("Labels") or {}):
                continue
            try:
                found.append(readings.container(self._api.inspect_container(row["Id"])))
            except errors.NotFound:
                continue
        return found

    async def next_exit(self, id: str) -> int:
        waiting = asyncio.ensure_future(self._long.next_exit(id))
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

    async def logs(self, id: str, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        if follow:
            async for piece in self._long.follow(id, tail=tail):
                yield piece
            return
        options: dict[str, Any] = {"stdout": True, "stderr": True, "tail": "all" if tail is None else tail}
        yield await self._call(lambda: bytes(self._api.logs(id, **options)))

    async def close(self) -> None:
        await self._long.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            await asyncio.to_thread(self._client.close)


class ListMoved(errors.APIError):
    """A list has no container that it could miss: one went while Podman listed it, so it is asked again."""

    @property
    def status_code(self) -> int:
        return 500

    def __str__(self) -> str:
        return str(self.args[0])


def _mapped(work: Callable[[], T]) -> T:
    """Foreign exceptions become ours here and nowhere else."""
    try:
        return work()
    except errors.APIError as e:
        raise _kind(e)(str(e.explanation or e)) from e
    except (requests.exceptions.RequestException, errors.DockerException, OSError) as e:
        raise EngineUnreachable(str(e)) from e


def _kind(e: errors.APIError) -> type[EngineRefused]:
    if imagefaults.is_images_own(str(e.explanation or e)):
        return ImageUnusable
    if isinstance(e, errors.NotFound):
        return NoSuchImage if isinstance(e, errors.ImageNotFound) else NoSuchContainer
    return EngineRefused


def _again(call: Callable[[], T]) -> T:
    """Podman answers 500 when a container changes under its hands (listed while removed, removed while restarting)."""
    for pause in AGAIN_AFTER:
        try:
            return call()
        except errors.APIError as e:
            if e.status_code is None or e.status_code < 500:
                raise
        time.sleep(pause)
    return call()


def _ignoring_404(work: Callable[[], object]) -> None:
    try:
        work()
    except errors.NotFound:
        return
