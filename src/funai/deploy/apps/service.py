"""Stop, start, look at, and take away an app, wherever it runs.

An app may be on more nodes than the one it belongs to: after a reassign its container serves on the old node until the
next deploy. Every call here reaches all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.accounts import AppDeleted, CleanupStep
from funai.contracts.agent import AgentDeleted, AgentStatus
from funai.contracts.apps.usage import AppUsage
from funai.contracts.errors import CalleeFailed, Conflict, FunaiError, NotFound
from funai.contracts.nodes import AppOverview
from funai.contracts.reasons import Reason
from funai.contracts.states import Window
from funai.deploy.apps import overview
from funai.deploy.apps.agents import AgentGone, Agents, AppLocation
from funai.deploy.compat import api as compat_api
from funai.deploy.compat.agents import may_lack_the_call, too_old
from funai.deploy.domains import store as domains
from funai.deploy.placement import stale, store
from funai.deploy.placement.policy import Node
from funai.deploy.queue.ports import Queue
from funai.deploy.releases import runs
from funai.deploy.releases import store as releases

ACTOR = "api"


class RemoteImages(Protocol):
    """The registry's side of an app's end."""

    async def remove_app(self, user_id: int, app_id: int) -> str:
        """Delete the app's images, except those another app's kept release runs; answers what was done, for people."""
        ...


class Apps:
    def __init__(self, db: Database, agents: Agents, queue: Queue, images: RemoteImages | None) -> None:
        self.db, self.agents, self.queue, self.images = db, agents, queue, images

    async def stop(self, user_id: int, app_id: int) -> dict[str, object]:
        """Take the app off line; idempotent, and done at once for an app that was never placed.

        Its active job is cancelled first. On a node that is silent (STALE) and doesn't answer the stop is
        ``deferred``: the node learns of it with its next heartbeat. Raises CalleeFailed(AGENT_UNREACHABLE), AgentRefused.
        """
        cancelled = await self.queue.cancel_active(app_id, ACTOR)
        newest = await self.queue.newest_generation(app_id)
        at = await self.agents.find(app_id)
        deferred = False
        if at.home is not None:
            try:
                await self.agents.call(at.home, lambda agent: agent.stop(user_id, app_id, generation=newest), silent=at.silent)
            except AgentGone:
                if not at.silent:
                    raise
                deferred = True
        for node in at.left:
            await self._stop_left(node, user_id, app_id, newest)
        await self._stopped(app_id, at, deferred, newest)
        return {
            "appId": app_id,
            "status": "STOPPED",
            "placed": at.home is not None,
            "deferred": deferred,
            "cancelledJobId": cancelled,
            **compat_api.stopped(user_id, app_id, at.home.id if at.home else None, at.home.agent_base_url if at.home else None),
        }

    async def start(self, user_id: int, app_id: int) -> dict[str, object]:
        """Start a stopped app's kept release again, on the node it belongs to.

        Raises Conflict(APP_NEVER_DEPLOYED), Conflict(APP_DEPLOYING), CalleeFailed(AGENT_UNREACHABLE), AgentRefused.
        """
        at = await self.agents.find(app_id)
        async with self.db.read() as conn:
            deployed = await runs.was_deployed(conn, app_id)
            busy = await store.running_job(conn, app_id)
        if busy is not None:
            raise Conflict(Reason.APP_DEPLOYING)
        if at.home is None or not deployed:
            raise Conflict(Reason.APP_NEVER_DEPLOYED)
        home, newest = at.home, await self.queue.newest_generation(app_id)
        async with self.db.write() as conn:
            await stale.forget(conn, app_id, home.id)
        with may_lack_the_call(NotFound(Reason.RELEASE_NOT_KEPT)):  # whose stop took the container away
            started = await self.agents.call(home, lambda agent: agent.start(user_id, app_id, newest), busy_seconds=0)
        async with self.db.write() as conn:
            await runs.set_stopped(conn, app_id, None)
        return started.to_wire()

    async def status(self, user_id: int, app_id: int) -> dict[str, object]:
        """The agent's words from the node where the app is, with the node's name; ``exists: false`` when nowhere."""
        at = await self.agents.find(app_id)
        found: tuple[Node, AgentStatus] | None = None
        for node in [*([at.home] if at.home else []), *at.left_speaking]:
            try:
                status = await self.agents.call(node, lambda agent: agent.status(user_id, app_id))
            except FunaiError:
                if node is at.home:
                    raise
                continue  # moved away from there: it has no word to wait for
            if found is None or (status.running and not found[1].running):
                found = (node, status)
            if status.running:
                break
        if found is None:
            name = naming.container_name(user_id, app_id)
            nowhere = AgentStatus(app_id=str(app_id), container_name=name, exists=False, running=False)
            return {**nowhere.to_wire(), "placed": False}
        return {**found[1].to_wire(), "placed": True, "nodeName": found[0].name}

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """What the app used, by the node that it belongs to; what it used elsewhere before a move is not in it.

        Raises Conflict(APP_NEVER_DEPLOYED), CalleeFailed(AGENT_UNREACHABLE, AGENT_TOO_OLD), AgentRefused.
        """
        at = await self.agents.find(app_id)
        if at.home is None:
            raise Conflict(Reason.APP_NEVER_DEPLOYED)
        with may_lack_the_call(too_old(at.home.name)):
            return await self.agents.call(at.home, lambda agent: agent.usage(user_id, app_id, window))

    async def overview(self, app_ids: Sequence[int]) -> list[AppOverview]:
        """What the database knows of these apps; of one that was never deployed nothing."""
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            return await overview.of(conn, app_ids, now_ms, self.agents.rules)

    async def purge(self, app_id: int) -> dict[str, object]:
        """Forget the app: its jobs, logs, releases, and where it lives. Its container is not touched."""
        await self.queue.cancel_active(app_id, ACTOR)
        deleted = await self.db.retrying(lambda conn: self._forget(conn, app_id))
        runs = deleted.pop("runs")
        as_before = {"deletedJobs": deleted["jobs"], "deletedAppRuns": runs, "deletedPlacements": deleted["placements"]}
        return {"appId": app_id, **deleted, **as_before}

    async def cleanup(self, user_id: int, app_id: int) -> AppDeleted:
        """Take the app away: remote images, container, local images, database, rows. One failing step stops no other."""
        await self.queue.cancel_active(app_id, ACTOR)
        newest = await self.queue.newest_generation(app_id)
        at = await self.agents.find(app_id)
        steps = [
            await _step("remote-images", lambda: self._remote_images(user_id, app_id)),
            *await self._on_nodes(at, user_id, app_id, newest),
            await _step("rows", lambda: self._rows(app_id)),
        ]
        return AppDeleted(app_id=app_id, complete=all(s.ok for s in steps), steps=steps)

    # ------------------------------------------------------------------ parts

    async def _stop_left(self, node: Node, user_id: int, app_id: int, newest: int | None) -> None:
        """A node the app was moved away from: if it can't be reached now, it learns of it with its next heartbeat."""
        try:
            await self.agents.call(node, lambda agent: agent.stop(user_id, app_id, generation=newest))
        except FunaiError as e:
            log.get("apps").warning("app.leftover_not_stopped", app_id=app_id, node=node.name, error=str(e))

    async def _stopped(self, app_id: int, at: AppLocation, deferred: bool, newest: int | None) -> None:
        async def work(conn: AsyncConnection) -> None:
            now_ms = await self.db.clock(conn)
            await runs.set_stopped(conn, app_id, now_ms)
            await stale.release_all(conn, app_id, newest)
            if deferred and at.home is not None:
                await stale.leave(conn, app_id, at.home.id, now_ms, ready=True, generation=newest)

        await self.db.retrying(work)

    async def _remote_images(self, user_id: int, app_id: int) -> str:
        if self.images is None:
            return "registry cleanup is switched off"
        return await self.images.remove_app(user_id, app_id)

    async def _on_nodes(self, at: AppLocation, user_id: int, app_id: int, newest: int | None) -> list[CleanupStep]:
        """The agent's delete does three steps in one call: each is reported as its own."""
        steps = {name: CleanupStep(step=name, ok=True, detail="nothing there") for name in _NODE_STEPS}
        for node in at.all:
            try:
                silent = at.silent and node is at.home
                gone = await self.agents.call(
                    node, lambda agent: agent.delete(user_id, app_id, generation=newest), silent=silent
                )
                done = _deleted(node, gone)
            except FunaiError as e:
                done = [CleanupStep(step=name, ok=False, detail=str(e)) for name in _NODE_STEPS]
            await self._leave(app_id, node)
            for step in done:
                worse = steps[step.step].ok or not step.ok
                steps[step.step] = step if worse else steps[step.step]
        return list(steps.values())

    async def _leave(self, app_id: int, node: Node) -> None:
        """Once the rows are gone the node is still asked to remove the app, and a second cleanup still finds it there.

        The container may have been out of reach, or a build that ran until now may yet start one.
        """

        async def work(conn: AsyncConnection) -> None:
            now_ms = await self.db.clock(conn)
            await stale.leave(conn, app_id, node.id, now_ms, ready=True)

        await self.db.retrying(work)

    async def _rows(self, app_id: int) -> str:
        deleted = await self.db.retrying(lambda conn: self._forget(conn, app_id))
        del deleted["runs"]
        return ", ".join(f"{n} {what}" for what, n in deleted.items())

    async def _forget(self, conn: AsyncConnection, app_id: int) -> dict[str, int]:
        jobs = await self.queue.purge_app(conn, app_id)
        gone, ran = await releases.forget(conn, app_id), await runs.forget(conn, app_id)
        await domains.forget_app(conn, app_id)
        return {"jobs": jobs, "releases": gone, "runs": ran, "placements": await store.unsettle(conn, app_id)}


_NODE_STEPS = ("container", "local-images", "database")


def _deleted(node: Node, gone: AgentDeleted) -> list[CleanupStep]:
    mongo = gone.mongo or "none"
    return [
        CleanupStep(step="container", ok=True, detail=f"removed on {node.name}"),
        CleanupStep(step="local-images", ok=True, detail=f"{len(gone.images)} removed on {node.name}"),
        CleanupStep(step="database", ok=not mongo.lower().startswith(("fail", "error")), detail=mongo),
    ]


async def _step(name: str, work: Callable[[], Awaitable[str]]) -> CleanupStep:
    """Run a step; an error of ours is its report. Anything else is a bug, and says so by ending the call."""
    try:
        return CleanupStep(step=name, ok=True, detail=await work())
    except FunaiError as e:
        return CleanupStep(step=name, ok=False, detail=str(e))
    except OSError as e:
        return CleanupStep(step=name, ok=False, detail=str(CalleeFailed(service=name, detail=str(e))))
