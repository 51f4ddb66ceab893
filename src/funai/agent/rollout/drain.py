"""The end of a generation: its connections finish (bounded), it is stopped, it is gone."""

from __future__ import annotations

import asyncio
import time

from funai.agent.engine.contract import Container, EngineError
from funai.agent.engine.patience import patiently
from funai.agent.node import Node
from funai.agent.reconcile import state
from funai.agent.rollout import health
from funai.base.observability import log
from funai.contracts.routes import GatewayError

SETTLE_SECONDS = 0.5
"""A request that was routed a moment before the switch is on the wire, but not yet in the socket table."""
LOOK_EVERY = 0.25


class Drainer:
    """Owns the tasks that drain and remove. After a crash the sweep hands the same containers in again."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def in_hand(self) -> frozenset[str]:
        """Ids of containers that are being retired."""
        return frozenset(self._tasks)

    def retire(self, container: Container) -> None:
        """Drain, stop and remove in the background. Handing in the same container twice is once."""
        if container.id not in self._tasks:
            task = asyncio.create_task(self._retire(container), name=f"retire:{container.name}")
            self._tasks[container.id] = task
            task.add_done_callback(lambda _: self._tasks.pop(container.id, None))

    async def _retire(self, container: Container) -> None:
        try:
            await self._drain(container)
            await self._remove(container)
        except EngineError as e:
            log.get("retire").warning("retire.later", container=container.name, why=str(e))

    async def remove(self, *containers: Container) -> list[str]:
        """Stop with grace, then remove, all at once; answers the images that went with them (by policy).

        One that is being drained is not waited for. Raises EngineError.
        """
        for container in containers:
            if task := self._tasks.get(container.id):
                task.cancel()
                await asyncio.wait({task})
        gone = await asyncio.gather(*(self._remove(c) for c in containers))
        return list(dict.fromkeys(image for image in gone if image))

    async def _remove(self, container: Container) -> str:
        node = self._node
        if container.running:
            await self._stop(container)
        await patiently(lambda: node.engine.remove(container.id), node.settings.engine_patience_seconds)
        image = container.labels.get(state.IMAGE, container.image)
        return image if node.settings.cleanup_images_on_stop and await self._without(image) else ""

    async def _without(self, image: str) -> bool:
        """Whether the image is gone. What fails is left and logged: the container is gone already, and an engine may refuse a
        name under which it holds an image that was also built or tagged there."""
        try:
            return await self._node.engine.remove_image(image)
        except EngineError as e:
            log.get("retire").warning("image.left", image=image, why=str(e))
            return False

    async def _stop(self, container: Container) -> None:
        """A container that can't be stopped is killed by its removal."""
        try:
            await self._node.stop(container)
        except EngineError as e:
            log.get("retire").info("retire.stop_refused", container=container.name, why=str(e))

    async def _drain(self, container: Container) -> None:
        """Until nothing is in flight to it any more, at most ``RUNTIME_DRAIN_SECONDS``."""
        if not container.running:
            return
        began, longest, drained = time.monotonic(), self._node.settings.drain_seconds, False
        await asyncio.sleep(min(SETTLE_SECONDS, longest))
        while not drained and time.monotonic() < began + longest:
            drained = await self._in_flight(container) == 0
            if not drained:
                await asyncio.sleep(LOOK_EVERY)
        self._node.metrics.drained(time.monotonic() - began, in_time=drained)

    async def _in_flight(self, container: Container) -> int | None:
        """What the gateway knows; a gateway that can't tell is replaced by the container's own open connections."""
        end = self._node.endpoint(container)
        try:
            known = await self._node.routes.connections(end.host, end.port) if end else None
        except GatewayError:
            known = None
        if known is not None:
            return known
        tables = await asyncio.to_thread(health.socket_tables, container.pid)
        return health.connections(tables, state.number(container, state.PORT)) if tables else None

    async def close(self) -> None:
        """Leave the rest to the next life: names say what is to be retired."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
