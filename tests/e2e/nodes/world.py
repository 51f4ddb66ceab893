"""A platform of several nodes on one machine: Deploy, a Runner, a registry and an edge here, each node in a network
namespace with an engine, an agent and a HAProxy of its own. Every service is a process of ``funai serve``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.chaos.disks import small_disk
from benchmarks.chaos.processes import processes
from funai.base.clients.agent import AgentClient
from funai.base.clients.deploy import DeployClient
from funai.base.process.proc import base_environment
from funai.base.process.programs import find_program
from funai.contracts.apps.moves import DrainProgress, DrainState
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import CreateJob, Job, Payload
from funai.contracts.nodes import DrainReport, Placements, RuntimeNode
from funai.contracts.states import JobStatus, JobType, NodeHealth
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.agent import images
from tests.parts.daemon import Daemon
from tests.parts.netns import Switch
from tests.parts.podman import Podman
from tests.parts.registry import Registry
from tests.parts.slots import Slot, take_slot
from tests.parts.waiting import eventually, free_port, tcp_answers

SECRET = "nodes-secret"
AGENT_PORT, GATEWAY_PORT = 7005, 8000
ANSWER = "web\n"
"""What every app answers."""
START = 120


@dataclass
class Machine:
    """A node: ``number`` from 1, its engine, its agent's process."""

    number: int
    address: str
    podman: Podman
    folder: Path
    agent: Daemon

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    def start(self) -> None:
        self.podman.service.start()
        self.agent.start()

    def destroy(self) -> None:
        self.agent.stop()
        if self.podman.service.running:
            self.podman.destroy()

    def client(self) -> AgentClient:
        return AgentClient(f"http://{self.address}:{AGENT_PORT}", SECRET)

    async def runs(self, app_id: int) -> bool:
        """As its agent says; one that can't be asked may run everything."""
        client = self.client()
        try:
            return (await client.status(1, app_id)).running
        except FunaiError:
            return True
        finally:
            await client.close()


@dataclass
class Nodes:
    """The platform. Marks of free disk are low, so that the machine's own disk does not matter; ``evacuate`` is after how
    many seconds of silence a node's apps start elsewhere, 0: never."""

    folder: Path
    slot: Slot
    engine: EngineChoice
    switch: Switch
    evacuate: int = 0
    database: str = ""
    """Of Deploy; empty: SQLite, for one instance alone."""
    machines: list[Machine] = field(default_factory=list[Machine])
    daemons: dict[str, Daemon] = field(default_factory=dict[str, Daemon])
    deploy_port: int = field(default_factory=free_port)
    edge_port: int = field(default_factory=free_port)
    database_port: int = field(default_factory=free_port)
    """Of a database on this machine, which apps may reach."""
    image: str = ""
    _next_app: int = 100

    # ------------------------------------------------------------------ its life

    def start(self) -> None:
        self.switch.make()
        registry = Registry(self.folder, host=self.switch.host)
        registry.start()
        self.daemons["registry"] = registry
        self.machines = [self._machine(n, registry) for n in self.switch.machines]
        self._serve("deploy", self._for_deploy(self.deploy_port), lambda: tcp_answers(self.deploy_port, self.switch.host))
        for machine in self.machines:
            machine.podman.cli("rmi", "--all", "--force")
            machine.start()
        self._publish(registry)
        self._serve("runner", self._for_runner(registry), lambda: b"runner.started" in self._log("runner").read_bytes())
        self._serve("edge", self._for_edge(), lambda: tcp_answers(self.edge_port))

    def destroy(self) -> None:
        for machine in self.machines:
            machine.destroy()
        for daemon in reversed(self.daemons.values()):
            daemon.stop()
        for pid in processes("haproxy", str(self.folder)):  # of an agent or an edge that could not do so
            os.kill(pid, signal.SIGKILL)
        self.switch.remove()

    def _machine(self, number: int, registry: Registry) -> Machine:
        own, within = self.folder / f"n{number}", self.switch.within(number)
        own.mkdir()
        own.chmod(0o711)
        storage = self.slot.folder / f"n{number}"
        storage.mkdir(exist_ok=True)
        podman = Podman(Slot(self.slot.number, storage), own, self.engine, within=within)
        podman.allow_insecure([registry.address])
        podman.clear()
        address = self.switch.address(number)
        env = {**base_environment(), **podman.choice.environment, **self._for_agent(number, address, own, podman.socket)}
        argv = [*within, *_serve("agent")]

        def ready() -> bool:
            return tcp_answers(AGENT_PORT, address)

        agent = Daemon("agent", argv, log=self._log(f"agent-{number}"), ready=ready, env=env, start_seconds=START)
        return Machine(number, address, podman, own, agent)

    def _publish(self, registry: Registry) -> None:
        """The image that every app runs."""
        first = self.machines[0].podman
        source = self.folder / "busybox.tar"
        source.write_bytes(images.tree())
        images.import_one(first.choice.binary, first.env, source, images.image("web"), images.TEMPERS["web"])
        self.image = f"{registry.address}/u1/app:1"
        first.cli("push", "--tls-verify=false", images.image("web"), self.image)

    def _serve(self, kind: str, env: Mapping[str, str], ready: Callable[[], bool]) -> None:
        self.daemons[kind] = self.service(kind, kind, env, ready)
        self.daemons[kind].start()

    def service(self, kind: str, name: str, env: Mapping[str, str], ready: Callable[[], bool]) -> Daemon:
        whole = {**base_environment(), "HOME": str(self.folder), "FUNAI_LANG": "en", **env}
        return Daemon(name, _serve(kind), log=self._log(name), ready=ready, env=whole, start_seconds=START)

    def second_deploy(self, port: int) -> Daemon:
        """Another instance on the same database, not started; ``take_over`` leads callers to it."""
        ready = lambda: tcp_answers(port, self.switch.host)  # noqa: E731
        return self.service("deploy", "deploy-2", self._for_deploy(port), ready)

    def take_over(self, port: int) -> Daemon:
        """Deploy's own address leads to another instance, as a virtual address does that has moved; not started."""
        file = self.folder / "take-over.cfg"
        times = "timeout connect 2s\n timeout client 1h\n timeout server 1h"
        listen = f"listen deploy\n bind {self.switch.host}:{self.deploy_port}\n server two {self.switch.host}:{port}"
        file.write_text(f"defaults\n mode tcp\n {times}\n{listen}\n")
        argv = [str(find_program("haproxy")), "-db", "-f", file]
        return Daemon(
            "take-over", argv, log=self._log("take-over"), ready=lambda: tcp_answers(self.deploy_port, self.switch.host)
        )

    def second_edge(self, port: int) -> Daemon:
        """Another edge beside the first, not started."""
        own = {"GATEWAY_PORT": str(port), "GATEWAY_DATA_DIR": str(self.folder / "edge-2")}
        return self.service("edge", "edge-2", self._for_edge() | own, lambda: tcp_answers(port))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    # ------------------------------------------------------------------ its settings

    @property
    def deploy_url(self) -> str:
        return f"http://{self.switch.host}:{self.deploy_port}"

    def _for_deploy(self, port: int) -> dict[str, str]:
        return {
            "DEPLOY_SERVER_HOST": self.switch.host,
            "DEPLOY_SERVER_PORT": str(port),
            "DEPLOY_DATASOURCE_URL": self.database or f"sqlite:///{self.folder}/deploy.db",
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": SECRET,
            "DEPLOY_RUNNER_AUTH_TOKEN": SECRET,
            "DEPLOY_ADMIN_TOKEN": SECRET,
            "DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET": SECRET,
            "DEPLOY_EDGE_SHARED_SECRET": SECRET,
            "DEPLOY_MOVES_DRAIN_SECONDS": "10",
            "DEPLOY_MOVES_EVACUATE_AFTER_SECONDS": str(self.evacuate),
            "DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": str(self.evacuate or 60),
            "DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_MIN_PCT": "2",
            "DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_DRAIN_PCT": "4",
            "DEPLOY_RUNTIME_NODE_REGISTRY_DISK_HYSTERESIS_PCT": "0",
            "DEPLOY_RUNTIME_NODE_REGISTRY_PLACEMENT_APP_BYTES": "1",
            "RUNTIME_AGENT_TOKEN": SECRET,
        }

    def _for_runner(self, registry: Registry) -> dict[str, str]:
        return {
            **self.engine.environment,
            "DEPLOY_BASE_URL": self.deploy_url,
            "RUNNER_ID": "runner-1",
            "RUNNER_TOKEN": SECRET,
            "RUNTIME_AGENT_TOKEN": SECRET,
            "RUNNER_WORKDIR": str(self.folder / "work"),
            "RUNNER_DOCKER_BIN": self.engine.binary,
            "RUNNER_SLOTS": "4",
            "RUNNER_INSECURE_REGISTRIES": registry.address,
            "ACR_REGISTRY": registry.address,
        }

    def _for_agent(self, number: int, address: str, own: Path, socket: Path) -> dict[str, str]:
        return {
            "HOME": str(own),
            "FUNAI_LANG": "en",
            "RUNTIME_AGENT_HOST": address,
            "RUNTIME_AGENT_PORT": str(AGENT_PORT),
            "RUNTIME_AGENT_TOKEN": SECRET,
            "RUNTIME_NODE_NAME": f"node-{number}",
            "RUNTIME_NODE_AGENT_BASE_URL": f"http://{address}:{AGENT_PORT}",
            "RUNTIME_NODE_GATEWAY_BASE_URL": f"http://{address}:{GATEWAY_PORT}",
            "RUNTIME_ENGINE_SOCKET": str(socket),
            "RUNTIME_STATE_DIR": str(own / "agent"),
            "RUNTIME_APP_ALLOW": f"{self.switch.host}:{self.database_port}",
            "DEPLOY_BASE_URL": self.deploy_url,
            "DEPLOY_NODE_TOKEN": SECRET,
            "DEPLOY_HEARTBEAT_SECONDS": "1",
            "GATEWAY_HOST": address,
            "GATEWAY_PORT": str(GATEWAY_PORT),
            "GATEWAY_DATA_DIR": str(own / "gw"),
            "GATEWAY_TRUSTED_PROXIES": self.switch.host,
            "GATEWAY_KEEPER": "true",
            "GATEWAY_STOP_WITH_AGENT": "true",
        }

    def _for_edge(self) -> dict[str, str]:
        return {
            "EDGE_DEPLOY_BASE_URLS": self.deploy_url,
            "EDGE_TOKEN": SECRET,
            "EDGE_STATUS_PORT": "0",
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.edge_port),
            "GATEWAY_DATA_DIR": str(self.folder / "edge"),
            "GATEWAY_STOP_WITH_AGENT": "true",
        }

    # ------------------------------------------------------------------ what people do

    def client(self) -> DeployClient:
        return DeployClient(self.deploy_url, SECRET)

    async def admin(self, method: str, path: str, **more: Any) -> Any:
        client = self.client()
        try:
            return await client.admin(method, f"/admin/runtime-nodes/{path}", SECRET, **more)
        finally:
            await client.close()

    def url(self, app_id: int) -> str:
        """The public door."""
        return f"http://127.0.0.1:{self.edge_port}/runtime/{app_id}/"

    async def known(self) -> dict[str, RuntimeNode]:
        nodes = [RuntimeNode.model_validate(n) for n in await self.admin("GET", "list")]
        return {node.name: node for node in nodes}

    async def all_healthy(self) -> None:
        """Every node takes apps, whatever was done to it before."""
        await eventually(self._all_known, seconds=60, what="every node told of itself", every=0.2)
        await self.only()

        async def healthy() -> bool:
            return all(node.health is NodeHealth.HEALTHY for node in (await self.known()).values())

        await eventually(healthy, seconds=60, what="every node is healthy", every=0.2)

    async def _all_known(self) -> bool:
        return len(await self.known()) == len(self.machines)

    async def homes(self) -> dict[int, str]:
        """The name of each app's node."""
        names = {node.id: name for name, node in (await self.known()).items()}
        placed = Placements.model_validate(await self.admin("GET", "placements", params={"limit": 200}))
        return {int(p.app_id): names[p.node_id] for p in placed.items}

    async def live(self, count: int, on: str = "") -> dict[int, str]:
        """Deploy so many apps on that node, or wherever they are placed; answers their addresses at the edge, each of which
        answers."""
        await self.only(*([on] if on else []))
        apps = range(self._next_app, self._next_app + count)
        self._next_app += count
        for job in [await self.deploy(app_id) for app_id in apps]:
            ended = await self.ended(job)
            assert ended.status is JobStatus.SUCCEEDED, ended.error_message
        await self.only()
        urls = {app_id: self.url(app_id) for app_id in apps}
        for url in urls.values():
            await eventually(lambda url=url: serves(url), seconds=30, what=f"{url} serves")
        return urls

    async def only(self, *names: str) -> None:
        """New apps are placed on these nodes alone; without names on all."""
        for machine in self.machines:
            enabled = not names or machine.name in names
            await self.admin("POST", "set-enabled", params={"name": machine.name, "enabled": str(enabled).lower()})

    async def deploy(self, app_id: int) -> Job:
        client = self.client()
        try:
            payload = Payload(app_id=app_id, user_id=1, image=self.image, container_port=3000)
            return await client.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
        finally:
            await client.close()

    async def ended(self, job: Job) -> Job:
        client = self.client()

        async def final() -> Job | None:
            now = await client.job(job.id)
            return now if now.status.final else None

        try:
            ended = await eventually(final, seconds=90, what=f"job {job.id} ends", every=0.1)
            assert ended is not None
            return ended
        finally:
            await client.close()

    async def drain(self, name: str) -> int:
        """Empty a node as ``funai nodes drain`` does; answers the drain's id."""
        await self.admin("POST", "set-enabled", params={"name": name, "enabled": "false"})
        source = (await self.known())[name].id
        report = DrainReport.model_validate(
            await self.admin("POST", "drain", json={"sourceNodeId": source}, params={"full": "true"})
        )
        assert report.drain_id is not None, report
        return report.drain_id

    async def left(self, name: str, apps: Iterable[int]) -> bool:
        """Whether the node runs none of these apps."""
        (machine,) = [m for m in self.machines if m.name == name]
        return not any([await machine.runs(app_id) for app_id in apps])

    async def progress(self, drain_id: int) -> DrainProgress:
        return DrainProgress.model_validate(await self.admin("GET", "drains/info", params={"id": drain_id}))

    async def drained(self, drain_id: int) -> DrainProgress:
        async def done() -> DrainProgress | None:
            try:
                now = await self.progress(drain_id)
            except FunaiError:  # Deploy may be away for a while
                return None
            return now if now.state is not DrainState.RUNNING else None

        ended = await eventually(done, seconds=120, what=f"drain {drain_id} ends", every=0.1)
        assert ended is not None
        return ended


def _serve(kind: str) -> list[str]:
    return [str(Path(sys.executable).with_name("funai")), "serve", kind]


async def serves(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        try:
            answer = await http.get(url)
        except httpx.HTTPError:
            return False
        return (answer.status_code, answer.text) == (200, ANSWER)


@contextmanager
def nodes(
    folder: Path, engine: EngineChoice, count: int, *, disk: str = "", evacuate: int = 0, database: str = ""
) -> Iterator[Nodes]:
    """A started platform with so many nodes; ``disk`` is the size of the last one's storage, empty: no limit."""
    with take_slot("nodes") as slot, ExitStack() as undo:
        if disk:
            undo.enter_context(small_disk(slot.folder / f"n{count}", disk))
        platform = Nodes(folder, slot, engine, Switch(slot.number, count), evacuate, database)
        undo.callback(platform.destroy)
        platform.start()
        yield platform
