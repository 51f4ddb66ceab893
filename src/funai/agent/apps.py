"""An app's life beside deploys: stop, start again, delete, status."""

from __future__ import annotations

from funai.agent.databases.service import Databases, fingerprint
from funai.agent.images.gc import ImageGC
from funai.agent.node import Node, to_the_end
from funai.agent.reconcile import state
from funai.agent.reconcile.crashes import Crashes
from funai.agent.reconcile.journal import Journal, Wanted
from funai.agent.rollout.admission import newest
from funai.agent.rollout.drain import Drainer
from funai.agent.rollout.failures import of_workload
from funai.agent.rollout.progress import Stopwatch
from funai.agent.rollout.rollout import Rollouts
from funai.agent.workload.contract import AppView, Instance, Refused, ReleaseUnusable, Unreachable, WorkloadError
from funai.base.observability import log
from funai.contracts.agent import (
    AgentApp,
    AgentDeleted,
    AgentDeploy,
    AgentDeployed,
    AgentStatus,
    AgentStopped,
    HealthSpec,
)
from funai.contracts.errors import Conflict, NotFound, Unavailable
from funai.contracts.reasons import Reason
from funai.contracts.routes import GatewayError, Route, RouteState


class Apps:
    """Every call is idempotent, and waits for (stop, delete: ends) a rollout of the same app."""

    def __init__(
        self,
        node: Node,
        rollouts: Rollouts,
        drainer: Drainer,
        crashes: Crashes,
        discards: ImageGC,
        journal: Journal,
        databases: Databases,
    ) -> None:
        self._journal, self._databases = journal, databases
        self._node, self._rollouts = node, rollouts
        self._drainer, self._crashes, self._discards = drainer, crashes, discards

    async def stop(self, app: AgentApp) -> AgentStopped:
        """Off line: the gateway says "stopped", the container is kept for ``start``. Raises Conflict ``STALE_GENERATION``."""
        app_id = int(app.app_id)
        async with self._node.busy.end_rollout(app_id, app.generation):
            view = await self._look(app_id)
            _check_generation(view, app.generation)
            if view.kept or app.generation or self._journal.knows(app_id):
                await self._journal.stop(app_id, app.generation)
            if view.kept:
                await self._route(state.stopped_route(app_id))
            if live := view.live:
                await self._drainer.remove(*((view.stopped,) if view.stopped else ()))
                # Its role is the decision: after a crash here the sweep finishes it.
                await self._node.workloads.set_aside(live)
                await self._node.stop(live)
            elif view.stopped and view.stopped.running:
                await self._node.stop(view.stopped)
            await self._drainer.remove(*view.candidates, *view.retired)
            if self._node.settings.cleanup_images_on_stop and self._journal.knows(app_id):
                await self._free(app_id, int(app.user_id))
        return AgentStopped(app_id=app.app_id)

    async def _free(self, app_id: int, user_id: int) -> None:
        """The stopped container and the app's images go: a start makes it again from the journal, and pulls."""
        view = await self._look(app_id)
        if kept := view.stopped:
            await self._drainer.remove(kept)
            refs = {kept.image}
            gone = await self._discards.of_app(user_id, app_id, refs)
            log.get("apps").info("stop.images_removed", app_id=app_id, images=gone)

    async def start(self, app: AgentApp) -> AgentDeployed:
        """Bring the kept release back. A container that was removed by hand, or that the engine can't start any more, is made
        again. Raises NotFound when no release is kept, RolloutFailed when it does not come up, Conflict.
        """
        app_id = int(app.app_id)
        async with self._node.busy.rollout(app_id, app.generation):
            view = await self._look(app_id)
            _check_generation(view, app.generation)
            if app.generation is not None and app.generation < self._journal.fence(app_id):
                raise Conflict(Reason.STALE_GENERATION)
            kept = view.kept
            if kept is None:
                return await self._again(app_id)
            wanted = self._as_deploy(kept)
            if view.live and view.live.running:
                return self._rollouts.answer(wanted, view.live, Stopwatch())
            self._crashes.forget(app_id)
            if await self._should_get_other_databases(kept):
                return await self._again(app_id)
            return await self._bring_back(kept, wanted)

    async def _should_get_other_databases(self, kept: Instance) -> bool:
        """Whether a container that is made now would get other database addresses: made since, dropped or rotated."""
        release = self._journal.release(kept.app_id)
        if release is None or release.generation != kept.generation:
            return False
        now = (await self._databases.given(release)).added_to(release)
        return fingerprint(now.env) != kept.databases

    async def _again(self, app_id: int) -> AgentDeployed:
        if not self._journal.knows(app_id):
            raise NotFound(Reason.RELEASE_NOT_KEPT)
        return await self._rollouts.from_journal(app_id)

    async def _bring_back(self, kept: Instance, wanted: AgentDeploy) -> AgentDeployed:
        watch, workloads = Stopwatch(), self._node.workloads
        try:
            await self._route(Route(int(wanted.app_id), RouteState.STARTING))
            await workloads.start(kept)
            await self._rollouts.bring_up(await workloads.again(kept), wanted, watch)
            await to_the_end(workloads.commit(kept))
        except WorkloadError as e:
            await to_the_end(self._put_back(kept))
            remade = isinstance(e, Refused) and not isinstance(e, ReleaseUnusable)
            if remade and self._journal.generation(int(wanted.app_id)) == wanted.generation:
                log.get("apps").warning("start.made_again", container=kept.name, why=str(e)[:200])
                return await self._again(int(wanted.app_id))
            raise of_workload(e) from e
        except BaseException:
            await to_the_end(self._put_back(kept))
            raise
        await self._journal.settle(int(wanted.app_id), wanted.generation or 0, Wanted.SERVING)
        return self._rollouts.answer(wanted, kept, watch)

    async def _put_back(self, kept: Instance) -> None:
        try:
            await self._node.workloads.set_aside(kept)
            await self._node.stop(kept)
            await self._route(state.stopped_route(kept.app_id))
        except (WorkloadError, GatewayError) as e:
            log.get("apps").warning("start.undo_later", container=kept.name, why=str(e))

    async def delete(self, app: AgentApp, *, keep_databases: bool = False) -> AgentDeleted:
        """No route, no container, no network; images and databases by policy. Raises Conflict ``STALE_GENERATION``.

        ``keep_databases``: the app goes from this node only, and its databases may be on a server that it still uses.
        """
        app_id = int(app.app_id)
        async with self._node.busy.end_rollout(app_id, app.generation):
            view = await self._look(app_id)
            _check_generation(view, app.generation)
            await self._journal.forget(app_id, app.generation)
            await self._forget_route(app_id)
            images = await self._drainer.remove(*view.all)
            refs = {c.image for c in view.all}
            images += await self._discards.of_app(int(app.user_id), app_id, refs)
            await self._node.workloads.forget(app_id)
            self._crashes.forget(app_id)
            if keep_databases:
                await self._databases.left(app_id)
                return AgentDeleted(app_id=app.app_id, images=images)
            mongo = await self._databases.deleted(int(app.user_id), app_id)
        return AgentDeleted(app_id=app.app_id, images=images, mongo=mongo)

    async def status(self, user_id: int, app_id: int) -> AgentStatus:
        view = await self._look(app_id)
        kept = view.kept
        name = kept.name if kept else self._node.workloads.name(user_id, app_id)
        if kept is None:
            return AgentStatus(app_id=str(app_id), container_name=name, exists=False, running=False)
        crash = self._crashes.of(app_id)
        return AgentStatus(
            app_id=str(app_id),
            container_name=name,
            exists=True,
            running=kept.running and view.live is not None,
            image=kept.image,
            port=kept.port,
            generation=kept.generation,
            restart_count=max(kept.restarts, crash.restarts),
            crash_looping=crash.looping,
            exit_code=kept.exit_code,
            started_at=kept.started_at or None,
            last_exit_code=crash.exit_code if kept.exit_code is None else kept.exit_code,
            last_exit_at=kept.finished_at or None,
        )

    # -- small steps ------------------------------------------------------------------------------------------------

    async def _look(self, app_id: int) -> AppView:
        try:
            return await self._node.look(app_id, patience=5)
        except Unreachable as e:
            raise Unavailable(Reason.ENGINE_UNREACHABLE, detail=str(e)) from e

    async def _route(self, route: Route) -> None:
        """An unreachable gateway gets the change from its driver's next rebuild; what the owner asked for still happens."""
        try:
            await self._node.tell(route)
        except GatewayError as e:
            log.get("apps").warning("route.later", app_id=route.app_id, why=str(e))

    async def _forget_route(self, app_id: int) -> None:
        try:
            await self._node.invalidate(app_id)
        except GatewayError as e:
            log.get("apps").warning("route.later", app_id=app_id, why=str(e))

    def _as_deploy(self, kept: Instance) -> AgentDeploy:
        return AgentDeploy(
            user_id=str(kept.user_id),
            app_id=str(kept.app_id),
            image=kept.image,
            container_port=kept.port,
            base_path=kept.base_path,
            strip_prefix=kept.strip_prefix,
            generation=kept.generation,
            health=HealthSpec(path=kept.health_path, timeout_seconds=self._node.settings.health_timeout_seconds),
        )


def _check_generation(view: AppView, decided_for: int | None) -> None:
    """Raises Conflict for an app that has a newer generation than whoever decided this knew of."""
    if decided_for is not None and newest(view) > decided_for:
        raise Conflict(Reason.STALE_GENERATION)
