"""Writes the nodes' heartbeats: what arrives together, during a write or in a crowd shares one transaction."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import FunaiError, Unavailable
from funai.contracts.nodes import NodeHeartbeat, NodeHeartbeatAnswer, Walls
from funai.deploy.placement import policy, stale, store
from funai.deploy.placement.policy import Marks, Node, Rules
from funai.deploy.queue.ports import Queue

MAX_TOGETHER = store.MOST_NAMES
CROWD, GATHER_SECONDS = 8, 1.0
"""When so many came within a second, the next are written together after this time: a transaction each costs more than all
else that an idle Deploy does."""
MOST_NAMED = 20
"""In one line of the log."""


@dataclass(slots=True)
class _Said:
    """A node's last heartbeat, and the callers that wait for its answer: a node may call twice in this time."""

    heartbeat: NodeHeartbeat
    waiting: list[asyncio.Future[NodeHeartbeatAnswer]]

    def answer(self, given: NodeHeartbeatAnswer | BaseException) -> None:
        for future in self.waiting:
            if future.done():  # its caller has gone
                continue
            if isinstance(given, BaseException):
                future.set_exception(given)
            else:
                future.set_result(given)


class Heartbeats:
    """Registers and refreshes nodes, and wakes jobs that wait when a node can take more than before."""

    def __init__(self, db: Database, rules: Rules, queue: Queue, walls: Callable[[], Walls | None] = lambda: None) -> None:
        self.db, self.rules, self.queue, self.walls = db, rules, queue, walls
        self._named = store.NodeLock(db.now_ms())
        self._said: dict[str, _Said] = {}
        self._writing: asyncio.Task[None] | None = None
        self._latest: deque[float] = deque(maxlen=CROWD)

    async def take(self, heartbeat: NodeHeartbeat) -> NodeHeartbeatAnswer:
        """Register the node or refresh it; of two words of a node that wait the later counts. Raises Unavailable."""
        answer: asyncio.Future[NodeHeartbeatAnswer] = asyncio.get_running_loop().create_future()
        said = self._said.setdefault(heartbeat.node_name, _Said(heartbeat, []))
        said.heartbeat = heartbeat
        said.waiting.append(answer)
        self._latest.append(time.monotonic())
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="deploy.heartbeats")
        return await answer

    async def close(self) -> None:
        """Wait for what is being written: a heartbeat is answered before the jobs that wait for its node are woken."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _write_all(self) -> None:
        """Writes batches until no caller waits. Every waiting caller gets an answer, also when this fails."""
        batch: list[_Said] = []
        try:
            while self._said:
                if self._crowded() and len(self._said) < MAX_TOGETHER:
                    await asyncio.sleep(GATHER_SECONDS)
                batch = [self._said.pop(name) for name in list(self._said)[:MAX_TOGETHER]]
                await self._write(batch)
        finally:
            self._writing = None
            for said in (*batch, *self._said.values()):
                said.answer(Unavailable())
            self._said.clear()

    def _crowded(self) -> bool:
        return len(self._latest) == CROWD and self._latest[-1] - self._latest[0] < 1

    async def _write(self, batch: Sequence[_Said]) -> None:
        try:
            answers, more = await self.db.retrying(lambda conn: self._take(conn, [s.heartbeat for s in batch]))
        except FunaiError as e:
            for said in batch:
                said.answer(e)
            return
        except DBAPIError as e:
            if len(batch) == 1:
                batch[0].answer(e)
                return
            for said in batch:  # one of them can't be written: the others must not suffer
                await self._write([said])
            return
        for said, answer in zip(batch, answers, strict=True):
            said.answer(answer)
        if more:
            await self._available(more)

    async def _available(self, names: list[str]) -> None:
        """Jobs that wait may try them now; if that can't be said, the next sweep lets them."""
        log.get("placement").info("node.available", count=len(names), nodes=names[:MOST_NAMED])
        try:
            await self.queue.nodes_changed()
        except FunaiError as e:
            log.get("placement").warning("node.not_told", nodes=names, reason=e.reason)

    async def _take(self, conn: AsyncConnection, given: Sequence[NodeHeartbeat]) -> tuple[list[NodeHeartbeatAnswer], list[str]]:
        """Answers in the order of ``given``, and the nodes that can take more than before."""
        named = await self._named(conn, [b.node_name for b in given])
        told = [self._read(named[b.node_name], b) for b in given]
        await store.write_heartbeats(conn, told)
        answers: list[NodeHeartbeatAnswer] = []
        more: list[str] = []
        for heartbeat in told:
            after, now_ms = heartbeat.after(), heartbeat.before.now_ms
            left = await stale.tell(conn, after.id, now_ms) if heartbeat.before.told else []
            answers.append(
                NodeHeartbeatAnswer(
                    node_id=after.id,
                    health=policy.health(after, now_ms, self.rules),
                    stale_placements=left,
                    removals=(await stale.fences(conn, after.id, left) or None) if left else None,
                    walls=self._walls(heartbeat.given),
                )
            )
            if gained(heartbeat.before.node, after, now_ms, self.rules):
                more.append(after.name)
        return answers, more

    def _walls(self, given: NodeHeartbeat) -> Walls | None:
        """What the node does not have yet; nothing for an agent that can't use it."""
        walls = self.walls()
        return None if walls is None or given.walls_revision in (None, walls.revision) else walls

    def _read(self, before: store.Named, given: NodeHeartbeat) -> store.Heartbeat:
        marks = Marks(before.node.drained, before.node.unhealthy)
        return store.Heartbeat(before, given, policy.marks_after(marks, given.disk_free_pct, self.rules))


def gained(before: Node, after: Node, now_ms: int, rules: Rules) -> bool:
    """Can the node take deploys that it could not take before?"""
    new = policy.takes_new(after, now_ms, rules) and not policy.takes_new(before, now_ms, rules)
    again = policy.stays(after, now_ms, rules) is None and policy.stays(before, now_ms, rules) is not None
    return new or again
