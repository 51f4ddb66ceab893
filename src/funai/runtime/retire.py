"""The end of a generation: its connections finish (bounded), it is stopped, it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from funai.base import log
from funai.runtime import probe, state
from funai.runtime.engine.contract import Container, EngineError
from funai.runtime.images import Images
from funai.runtime.node import Node
from funai.runtime.patience import patiently

SETTLE_SECONDS = 0.5
"""A request that was routed a moment before the switch is on the wire, but not yet in the socket table."""
LOOK_EVERY = 0.25


class Retirer:
    """Owns the tasks that drain and remove. After a crash the sweep hands the same containers in again."""

    def __init__(self, node: Node, images: Images) -> None:
        self._node, self._images = node, images
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
            await self.remove(container)
        except EngineError as e:
            log.get("retire").warning("retire.later", container=container.name, why=str(e))

    async def remove(self, container: Container) -> None:
        """Stop with grace, then remove; and its image when the policy says so."""
        node = self._node
        if container.running:
            await patiently(lambda: _quietly(node.engine.stop(container.id, node.settings.stop_grace_seconds)), 5)
        await patiently(lambda: node.engine.remove(container.id), node.settings.engine_patience_seconds)
        if node.settings.cleanup_images_on_stop:
            await node.engine.remove_image(container.labels.get(state.IMAGE, container.image))

    async def _drain(self, container: Container) -> None:
        """Until no connection to its port is open, at most ``RUNTIME_DRAIN_SECONDS``."""
        if not container.running:
            return
        port = state.number(container, state.PORT)
        deadline = time.monotonic() + self._node.settings.drain_seconds
        await asyncio.sleep(min(SETTLE_SECONDS, self._node.settings.drain_seconds))
        while time.monotonic() < deadline:
            tables = await asyncio.to_thread(probe.socket_tables, container.pid)
            if tables and not probe.connections(tables, port):
                return
            await asyncio.sleep(LOOK_EVERY)

    async def close(self) -> None:
        """Leave the rest to the next life: names say what is to be retired."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def _quietly(stopping: Coroutine[Any, Any, None]) -> None:
    """A container that can't be stopped is killed by its removal."""
    try:
        await stopping
    except EngineError as e:
        log.get("retire").info("retire.stop_refused", why=str(e))
