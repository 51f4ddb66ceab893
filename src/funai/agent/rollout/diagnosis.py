"""What to tell an app's owner about a container that did not come up, and whether another try may help."""

from __future__ import annotations

import asyncio
import posixpath
import re
from dataclasses import dataclass

from funai.agent.node import Node
from funai.agent.rollout import health
from funai.agent.rollout.failures import RolloutFailed
from funai.agent.rollout.health import Probed, Verdict
from funai.agent.rollout.startfaults import STATUSES, StartFaults
from funai.agent.workload.contract import AppView, Image, Instance, WorkloadError, base_path, health_path
from funai.contracts.agent import AgentDeploy
from funai.contracts.reasons import FailureCode
from funai.i18n.reasons import Words
from funai.i18n.sizes import size

SIGKILLED = 128 + 9
INITS = frozenset({"/init", "/sbin/init", "/lib/systemd/systemd"})
INIT_NAMES = frozenset({"tini", "dumb-init", "catatonit", "s6-svscan", "runit-init", "runsvdir-start", "my_init"})
"""Programs that are made to be process 1: two init programs would hide the app's end and signals from each other."""
NOTHING = Words("", "")
_WANTS_PID_1 = re.compile(r"\b(pid|process) 1\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Variant:
    """How a container is made of one release. ``port``: where the app listens; ``init``: as in Generation."""

    port: int
    init: bool = True

    def of(self, wanted: AgentDeploy) -> AgentDeploy:
        """The rollout as this variant carries it out."""
        return wanted.model_copy(update={"container_port": self.port})


def first_variant(before: AppView, wanted: AgentDeploy, image: Image) -> Variant:
    """How the first container of a rollout is made: with the port that the app's last release was found to listen on, as
    long as the same one is asked for; without the engine's init program where the image runs one of its own.
    """
    kept, port = before.kept, wanted.container_port
    if kept and kept.asked_port == port:
        port = kept.port or port
    program = image.command[0] if image.command else ""
    return Variant(port, init=program not in INITS and posixpath.basename(program) not in INIT_NAMES)


def notes(wanted: AgentDeploy, variant: Variant) -> list[str]:
    """What the app's owner should know about a rollout that succeeded; each in both languages."""
    if variant.port == wanted.container_port:
        return []
    zh = f"应用没有监听端口 {wanted.container_port}，而是监听 {variant.port}，已改用后者；可用 --port {variant.port} 指定"
    en = f"the app listens on port {variant.port}, not on {wanted.container_port}: and is served there (see --port)"
    return [f"{zh} / {en}"]


def own_health_path(wanted: AgentDeploy) -> str:
    """The health path as the container itself sees it: below the base path when the gateway leaves that on."""
    return health_path(wanted) if wanted.strip_prefix else base_path(wanted) + health_path(wanted)


class Diagnosis:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def another(self, new: Instance, variant: Variant, probed: Probed) -> Variant | None:
        """A variant that this container shows to be right instead; None when none does.

        An app that listens, on all addresses, on exactly one port, and it is another one, is served there. An image that
        brings an init program of its own, and says that it must be process 1, is started without the engine's.
        """
        if probed.verdict is Verdict.SILENT:
            found = health.listeners(await asyncio.to_thread(health.socket_tables, new.pid))
            port = health.elsewhere(found, variant.port)
            return Variant(port, variant.init) if port else None
        ended = probed.verdict is Verdict.EXITED and variant.init and probed.exit_code
        wants = ended and any(_WANTS_PID_1.search(line) for line in await self._node.tail(new))
        return Variant(variant.port, init=False) if wants else None

    async def failure(self, new: Instance, wanted: AgentDeploy, image: Image, probed: Probed) -> RolloutFailed:
        """What to tell, with the container's last lines."""
        tail, seconds = await self._node.tail(new), f"{probed.seconds:g}"
        if probed.verdict is Verdict.EXITED:
            oom = await self._ran_out_of_memory(new, probed.exit_code)
            code = FailureCode.APP_OUT_OF_MEMORY if oom else FailureCode.APP_EXITED
            return RolloutFailed(
                code,
                exit_code=probed.exit_code,
                oom_killed=oom,
                log_tail=tail,
                exit=probed.exit_code,
                limit=size(self._node.settings.app_memory),
                cause=NOTHING if oom else await self._cause(new, image, probed.exit_code),
            )
        if probed.verdict is Verdict.HTTP2:
            return RolloutFailed(FailureCode.APP_SPEAKS_HTTP2, log_tail=tail, port=wanted.container_port)
        if probed.verdict is Verdict.SILENT:
            found = health.listeners(await asyncio.to_thread(health.socket_tables, new.pid))
            seen = Words(*health.describe(found, wanted.container_port))
            return RolloutFailed(
                FailureCode.APP_NOT_LISTENING, log_tail=tail, port=wanted.container_port, seconds=seconds, seen=seen
            )
        return RolloutFailed(
            FailureCode.APP_UNHEALTHY, log_tail=tail, path=health_path(wanted), seconds=seconds, detail=probed.detail
        )

    async def _cause(self, new: Instance, image: Image, exit_code: int | None) -> Words:
        """What the container's files show, as the end of a sentence; an engine that can't be asked must not hide the rest.

        The container is stopped first: while the engine restarts it again and again, Podman refuses to read from it.
        """
        if exit_code not in STATUSES:
            return NOTHING
        try:
            await self._node.workloads.stop(new, 0)
            faults = StartFaults(lambda path: self._node.workloads.read_file(new, path), image, self._node.info.platform)
            fault = await faults.find(exit_code)
        except WorkloadError:
            return NOTHING
        return Words(f"：{fault.zh}", f": {fault.en}") if fault else NOTHING

    async def _ran_out_of_memory(self, new: Instance, exit_code: int | None) -> bool:
        """What the engine says. Podman can miss it (cgroup v1): a SIGKILL that none of us sent is the kernel's then."""
        if exit_code == SIGKILLED and self._node.settings.app_memory:
            return True
        try:
            return (await self._node.workloads.again(new)).oom_killed
        except WorkloadError:
            return False
