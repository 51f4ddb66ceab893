"""The end of a generation: its connections finish (bounded), it is stopped, it is gone."""

from __future__ import annotations

import asyncio
import time

from funai.agent.images.pull import Images
from funai.agent.node import Node
from funai.agent.rollout import health
from funai.agent.workload.contract import Instance, WorkloadError
from funai.agent.workload.patience import patiently
from funai.base.observability import log
from funai.contracts.routes import GatewayError

SETTLE_SECONDS = 0.5
"""A request that was routed a moment before the switch is on the wire, but not yet in the socket table."""
LOOK_EVERY = 0.25


class Drainer:
    """Owns the tasks that drain and remove. After a crash the sweep hands the same instances in again."""

    def __init__(self, node: Node, images: Images) -> None:
        self._node, self._images = node, images
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def in_hand(self) -> frozenset[str]:
        """Keys of instances that are being retired."""
        return frozenset(self._tasks)

    def retire(self, instance: Instance) -> None:
        """Drain, stop and remove in the background. Handing in the same instance twice is once."""
        if instance.key not in self._tasks:
            task = asyncio.create_task(self._retire(instance), name=f"retire:{instance.name}")
            self._tasks[instance.key] = task
            task.add_done_callback(lambda _: self._tasks.pop(instance.key, None))

    async def _retire(self, instance: Instance) -> None:
        try:
            await self._drain(instance)
            await self._remove(instance)
        except WorkloadError as e:
            log.get("retire").warning("retire.later", container=instance.name, why=str(e))

    async def remove(self, *instances: Instance) -> list[str]:
        """Stop with grace, then remove, all at once; answers the images that went with them (by policy).

        One that is being drained is not waited for. Raises WorkloadError.
        """
        for instance in instances:
            if task := self._tasks.get(instance.key):
                task.cancel()
                await asyncio.wait({task})
        gone = await asyncio.gather(*(self._remove(c) for c in instances))
        return list(dict.fromkeys(image for image in gone if image))

    async def _remove(self, instance: Instance) -> str:
        node = self._node
        if instance.running:
            await self._stop(instance)
        await patiently(lambda: node.workloads.remove(instance), node.settings.engine_patience_seconds)
        gone = node.settings.cleanup_images_on_stop and await self._images.remove(instance.image)
        return instance.image if gone else ""

    async def _stop(self, instance: Instance) -> None:
        """One that can't be stopped is killed by its removal."""
        try:
            await self._node.stop(instance)
        except WorkloadError as e:
            log.get("retire").info("retire.stop_refused", container=instance.name, why=str(e))

    async def _drain(self, instance: Instance) -> None:
        """Until nothing is in flight to it any more, at most ``RUNTIME_DRAIN_SECONDS``."""
        if not instance.running:
            return
        began, longest, drained = time.monotonic(), self._node.settings.drain_seconds, False
        await asyncio.sleep(min(SETTLE_SECONDS, longest))
        while not drained and time.monotonic() < began + longest:
            drained = await self._in_flight(instance) == 0
            if not drained:
                await asyncio.sleep(LOOK_EVERY)
        self._node.metrics.drained(time.monotonic() - began, in_time=drained)

    async def _in_flight(self, instance: Instance) -> int | None:
        """What the gateway knows; a gateway that can't tell is replaced by the instance's own open connections."""
        end = instance.endpoint
        try:
            known = await self._node.routes.connections(end.host, end.port) if end else None
        except GatewayError:
            known = None
        if known is not None:
            return known
        tables = await asyncio.to_thread(health.socket_tables, instance.pid)
        return health.connections(tables, instance.port) if tables else None

    async def close(self) -> None:
        """Leave the rest to the next life: names say what is to be retired."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
