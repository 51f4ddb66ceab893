"""Brings back apps whose containers were removed by another hand, from the journal."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from funai.agent.node import Node
from funai.agent.reconcile.journal import Journal
from funai.agent.rollout.rollout import Rollouts
from funai.base.observability import log
from funai.contracts.errors import FunaiError

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
AT_ONCE = 2
"""So many are brought back beside each other: a node whose containers are all gone has other work too."""


@dataclass
class _Try:
    next: float = 0.0
    pause: float = FIRST_PAUSE
    failed: str = ""


class Restorer:
    """Owns the tasks. ``restore`` may be called at every sweep."""

    def __init__(self, node: Node, rollouts: Rollouts, journal: Journal) -> None:
        self._node, self._rollouts, self._journal = node, rollouts, journal
        self._tries: dict[int, _Try] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    @property
    def failing(self) -> list[int]:
        """Apps that should be served, have no container, and could not be brought back so far."""
        return sorted(app_id for app_id, tried in self._tries.items() if tried.failed)

    def keep_only(self, app_ids: set[int]) -> None:
        """Forget the failures of other apps than these."""
        for app_id in set(self._tries) - app_ids - set(self._tasks):
            del self._tries[app_id]

    def restore(self, app_id: int) -> None:
        """Begin to bring the app back, unless that is under way or was tried a moment ago."""
        tried = self._tries.setdefault(app_id, _Try())
        if app_id in self._tasks or time.monotonic() < tried.next or self._node.busy.rolling(app_id):
            return
        task = self._tasks[app_id] = asyncio.create_task(self._restore(app_id, tried), name=f"restore:{app_id}")
        task.add_done_callback(lambda _: self._tasks.pop(app_id, None))

    async def _restore(self, app_id: int, tried: _Try) -> None:
        async with self._room:
            try:
                log.get("restore").warning("restore.begun", app_id=app_id, why="its containers were removed by another hand")
                if await self._rollouts.restore(app_id):
                    self._tries.pop(app_id, None)
                    log.get("restore").info("restore.done", app_id=app_id)
            except FunaiError as e:
                tried.next, tried.failed = time.monotonic() + tried.pause, e.reason
                tried.pause = min(2 * tried.pause, LONGEST_PAUSE)
                log.get("restore").warning("restore.later", app_id=app_id, why=e.message("en"))

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
