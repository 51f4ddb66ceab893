"""Reconciles instances and routes with what the instances' roles say: after a crash, and then every few seconds.

One look answers for all apps. Apps that another task works on are left alone; for the others, remains are removed, replaced
generations are drained, a verified successor is committed, a live instance that ended is started again (ever more slowly), and
the gateway has exactly the right routes. Apps that the journal knows as served and that have no instance are brought back
(``restore``).
"""

from __future__ import annotations

import time

from funai.agent.metering.meter import Meter
from funai.agent.node import Node
from funai.agent.reconcile import state
from funai.agent.reconcile.crashes import Crashes
from funai.agent.reconcile.journal import Journal, Wanted
from funai.agent.reconcile.restore import Restorer
from funai.agent.reconcile.state import Desired
from funai.agent.rollout.drain import Drainer
from funai.agent.workload.contract import AppView, Instance, Refused, WorkloadError
from funai.base.observability import log
from funai.contracts.routes import GatewayError


class Reconciler:
    def __init__(
        self, node: Node, drainer: Drainer, crashes: Crashes, journal: Journal, restorer: Restorer, meter: Meter
    ) -> None:
        self._node, self._drainer, self._crashes = node, drainer, crashes
        self._journal, self._restorer, self._meter = journal, restorer, meter

    async def rebuild(self) -> None:
        """At start: the whole route table from the containers. Raises WorkloadError, GatewayError."""
        apps = await self._node.workloads.everything()
        for app in apps.values():
            await self._start_if_down(app)
        apps = await self._node.workloads.everything()
        routes = {a: r for a, app in apps.items() if (r := self._node.desired_route(app))}
        await self._node.routes.replace_all(list(routes.values()))
        self._node.acknowledged = routes
        log.get("converge").info("converge.rebuilt", apps=len(apps), routes=len(routes))

    async def sweep(self) -> None:
        """Once over everything. One app that can't be repaired now stops no other."""
        apps = await self._node.workloads.everything()
        self._crashes.keep_only(set(apps))
        for app_id in set(apps) | set(self._node.acknowledged):
            try:
                async with self._node.busy.if_free(app_id) as free:
                    if free and not self._settled(apps.get(app_id)):
                        await self._repair(await self._node.look(app_id))
                    elif free and (kept := apps[app_id].kept):
                        wanted = Wanted.SERVING if apps[app_id].live else Wanted.STOPPED
                        await self._journal.settle(app_id, kept.generation, wanted)
            except (WorkloadError, GatewayError) as e:
                log.get("converge").warning("converge.later", app_id=app_id, why=str(e))
        lost = set(self._journal.serving()) - set(apps)
        self._restorer.keep_only(lost | {a for a, app in apps.items() if app.live and not app.live.running})
        for app_id in lost:
            self._restorer.restore(app_id)
        for app_id in await self._node.workloads.leads.apps():
            await self._lead_no_more(app_id)
        self._node.metrics.saw(apps.values(), self._crashes)
        self._meter.saw(apps.values())

    async def _lead_no_more(self, app_id: int) -> None:
        """The rollout that needed it is over, or was cut off."""
        async with self._node.busy.if_free(app_id) as free:
            if free and len((await self._node.look(app_id)).all) <= 1:
                await self._node.workloads.leads.clear(app_id)

    def _settled(self, app: AppView | None) -> bool:
        """Whether the one look already says that nothing is to be done, as it does for nearly all apps at any time."""
        if app is None or len(app.all) != 1 or app.kept is None:
            return False
        if self._node.desired_route(app) != self._node.acknowledged.get(app.app_id):
            return False
        if app.live is None:
            return not app.kept.up
        if app.live.running:
            self._saw(app.app_id, app.live)
        return app.live.running

    def _saw(self, app_id: int, live: Instance) -> bool:
        """Count its ends. True when it is down and should be started now."""
        return self._crashes.saw(
            app_id, live.key, running=live.up, engine_restarts=live.restarts, now=time.monotonic(), exit_code=live.exit_code
        )

    async def _repair(self, app: AppView) -> None:
        node, mend = self._node, state.repair(app)
        in_hand = self._drainer.in_hand
        if mend.keep and mend.commit:
            log.get("converge").info("converge.promoted", app_id=app.app_id, container=mend.keep.name)
            await node.workloads.commit(mend.keep)
        if mend.desired is Desired.SERVING:
            await self._start_if_down(app)
        # The route first: it may still lead to what is about to be removed.
        await self._tell(await node.look(app.app_id))
        for leftover in mend.remove:
            if leftover.key not in in_hand:
                log.get("converge").info("converge.leftover", app_id=app.app_id, container=leftover.name)
                await self._drainer.remove(leftover)
        for old in mend.drain:
            self._drainer.retire(old)
        if mend.desired is Desired.STOPPED and mend.keep and mend.keep.up:
            await node.stop(mend.keep)

    async def _start_if_down(self, app: AppView) -> None:
        live = state.repair(app)
        if live.desired is not Desired.SERVING or live.keep is None:
            return
        if self._saw(app.app_id, live.keep):
            log.get("converge").warning("converge.restart", app_id=app.app_id, exit_code=live.keep.exit_code)
            try:
                await self._node.workloads.start(live.keep)
                self._crashes.started(app.app_id)
            except WorkloadError as e:
                log.get("converge").warning("converge.restart_refused", app_id=app.app_id, why=str(e))
                if isinstance(e, Refused) and self._journal.generation(app.app_id) == live.keep.generation:
                    self._restorer.restore(app.app_id)  # its network, or its files in the engine's store, may be gone

    async def _tell(self, app: AppView) -> None:
        """Sends the gateway a route only when it changed."""
        node, route = self._node, self._node.desired_route(app)
        if route is None and app.live is None and app.stopped is None:
            if app.app_id in node.acknowledged or app.candidates:
                await node.invalidate(app.app_id)
        elif route and route != node.acknowledged.get(app.app_id):
            await node.tell(route)
