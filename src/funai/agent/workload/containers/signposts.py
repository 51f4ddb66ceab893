"""Containers that lead a proxy, which reads its routes from containers' labels, to one generation alone.

Labels can't be changed, and a container has them from its start: Traefik sends requests to one that does not listen yet, and
to one that is about to end. So while an app has two generations, a signpost leads to one of them: a container in that one's
network namespace (to Traefik its address is the other's), whose labels outrank those of the app's own containers. It runs
nothing but ``pause``. The proxy itself is asked whether it has read it, so a switch is over when its answer says so.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Sequence
from pathlib import Path

from funai.agent.engine.contract import Container, ContainerSpec, Engine, EngineError, Limits
from funai.agent.workload.containers import labels
from funai.agent.workload.containers.labels import Names
from funai.agent.workload.containers.pause import program
from funai.agent.workload.contract import Instance
from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.routes import Route, Signs

SIGNPOST = f"{naming.LABEL}.signpost"
"""The app's id: a signpost has no label that would make it an instance."""
KIND = f"{naming.LABEL}.kind"
TARGET = f"{naming.LABEL}.target"
RANK = f"{naming.LABEL}.rank"
_PROGRAM = "/.funai-signpost"
_LIMITS = Limits(memory=64 * 1024 * 1024, pids=32)
"""Enough for the engine's own program that starts it."""


class Signposts:
    """``signs`` None: the proxy reads no containers. Without ``folder`` the program has no place, and there are none."""

    def __init__(
        self, engine: Engine, folder: Path | None, instance: str, signs: Signs | None = None, network: str = ""
    ) -> None:
        self._engine, self._folder, self._instance = engine, folder, instance
        self._signs, self._network = signs, network
        self._left = True
        """Whether an agent with another proxy may have left some."""

    @property
    def active(self) -> bool:
        return self._signs is not None

    async def lead_to(self, target: Instance) -> None:
        """Return when the proxy sends new requests to ``target`` alone. Where that can't be had, the reason is logged."""
        if self._signs is None or target.endpoint is None:
            return
        try:
            there = await self._of_app(target.app_id)
            if not any(sign.labels.get(TARGET) == target.key and sign.running for sign in there):
                await self._put_up(self._signs, target, 1 + max((_rank(sign) for sign in there), default=0))
            shown = await self._signs.shown(target.app_id, target.generation, there=True)
            why = "" if shown else "the proxy does not show it"
        except (EngineError, OSError) as e:
            why = str(e)
        if why:
            log.get("signpost").warning("signpost.missing", app_id=target.app_id, generation=target.generation, why=why)

    async def _put_up(self, signs: Signs, target: Instance, rank: int) -> None:
        file = await asyncio.to_thread(self._program)
        if file is None or target.endpoint is None:
            return
        container = await self._engine.inspect(target.key)
        route = Route(target.app_id, host=target.endpoint.host, port=target.port, generation=target.generation)
        name = Names(target.user_id, target.app_id, self._instance).candidate(target.generation)
        spec = ContainerSpec(
            name=f"{name}-sign{rank}",
            image=container.image_id or container.image,
            port=target.port,
            labels={
                labels.INSTANCE: self._instance,
                KIND: "signpost",
                SIGNPOST: str(target.app_id),
                TARGET: target.key,
                RANK: str(rank),
                **signs.labels(route, rank, self._network),
            },
            network="",
            beside=target.key,
            entrypoint=(_PROGRAM,),
            files={_PROGRAM: str(file)},
            limits=_LIMITS,
            init=False,
            health_check=False,
        )
        await self._engine.start(await self._engine.create(spec))

    def _program(self) -> Path | None:
        """The file, written where it is missing. Raises OSError."""
        content = program(platform.machine())
        if content is None or self._folder is None:
            return None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / "signpost"
        if not file.exists() or file.read_bytes() != content:
            write_whole(file, content, 0o755)  # images have users of their own
        return file

    async def take_down(self, app_id: int, target: str) -> None:
        """The container ``target`` is about to be removed: its signposts go first, and the proxy follows another one."""
        if self._signs is None:
            return
        there = await self._of_app(app_id)
        gone = [sign for sign in there if sign.labels.get(TARGET) == target]
        others = [sign for sign in there if sign not in gone and sign.running]
        await self._remove(gone)
        if gone and others and max(map(_rank, gone)) > max(map(_rank, others)):
            generation = labels.number(await self._engine.inspect(target), labels.GENERATION)
            await self._signs.shown(app_id, generation, there=False)

    async def clear(self, app_id: int) -> None:
        """The app has one generation: its own labels do."""
        await self._remove(await self._of_app(app_id))

    async def apps(self) -> frozenset[int]:
        """Which apps have signposts. Without a proxy that needs them the engine is asked until there are none left."""
        if not (self.active or self._left):
            return frozenset()
        found = await self._engine.containers({labels.INSTANCE: self._instance, KIND: "signpost"})
        self._left = bool(found)
        return frozenset(labels.number(sign, SIGNPOST) for sign in found)

    async def _of_app(self, app_id: int) -> list[Container]:
        return await self._engine.containers({labels.INSTANCE: self._instance, SIGNPOST: str(app_id)})

    async def _remove(self, signs: Sequence[Container]) -> None:
        await asyncio.gather(*(self._engine.remove(sign.id) for sign in signs))


def _rank(sign: Container) -> int:
    return labels.number(sign, RANK)
