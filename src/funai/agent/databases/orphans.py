"""Databases and containers of apps that are no more. Looked for against the platform's list of apps, and shown first.

An empty list is refused: it is what a failed question looks like, and would make everything an orphan. What looks orphaned is
deleted only when it has looked so for the grace, so that an app which was made while the list was on its way is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from funai.agent.apps import Apps
from funai.agent.databases.contract import AppKey, DatabaseError, Driver
from funai.agent.databases.service import Databases
from funai.agent.node import Node
from funai.agent.workload.contract import WorkloadError
from funai.base.observability import log
from funai.contracts.agent import AgentApp
from funai.contracts.apps.databases import FindOrphans, Orphans
from funai.contracts.errors import Conflict, FunaiError
from funai.contracts.reasons import Reason

Remove = Callable[[], Awaitable[object]]


class OrphanSweep:
    def __init__(self, node: Node, apps: Apps, databases: Databases, clock: Callable[[], float] = time.time) -> None:
        self._node, self._apps, self._databases, self._clock = node, apps, databases, clock

    async def run(self, asked: FindOrphans) -> Orphans:
        """Raises Conflict ``ORPHANS_NO_APPS`` for an empty list, WorkloadError."""
        existing = asked.existing
        if not existing:
            raise Conflict(Reason.ORPHANS_NO_APPS)
        answer = Orphans(node=self._node.settings.node_name)
        databases, containers = await self._databases_left(existing, answer), await self._containers_left(existing)
        now = self._clock()
        since = await self._databases.ledger.seen_orphaned({*databases, *containers}, now)
        for found, removals in ((answer.databases, databases), (answer.containers, containers)):
            for name, remove in removals.items():
                found.append(name)
                if now - since[name] < asked.grace_hours * 3600:
                    answer.waiting.append(name)
                elif asked.delete and (asked.only is None or name in asked.only):
                    await self._remove(name, remove, answer)
        return answer

    async def _databases_left(self, existing: set[int], answer: Orphans) -> dict[str, Remove]:
        left: dict[str, Remove] = {}
        for driver in self._databases.drivers.values():
            try:
                names = await driver.names()
            except DatabaseError as e:
                answer.failed.append(f"{driver.kind}: {e}")
                continue
            left |= {f"{driver.kind} {n}": _drop(driver, n) for n in names if (driver.app_of(n) or 0) not in existing}
        return left

    async def _containers_left(self, existing: set[int]) -> dict[str, Remove]:
        left: dict[str, Remove] = {}
        for app_id, view in (await self._node.workloads.everything()).items():
            if app_id not in existing and view.user_id:
                name = ", ".join(c.name for c in view.all)
                left[name] = _delete(self._apps, view.user_id, app_id)
        return left

    async def _remove(self, name: str, remove: Remove, answer: Orphans) -> None:
        try:
            await remove()
        except (DatabaseError, WorkloadError, FunaiError) as e:
            answer.failed.append(f"{name}: {e}")
        else:
            log.get("orphans").info("orphan.deleted", name=name)
            answer.deleted.append(name)


def _drop(driver: Driver, name: str) -> Remove:
    return lambda: driver.drop(AppKey(0, driver.app_of(name) or 0, name))


def _delete(apps: Apps, user_id: int, app_id: int) -> Remove:
    return lambda: apps.delete(AgentApp(user_id=str(user_id), app_id=str(app_id)))
