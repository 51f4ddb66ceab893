"""This node: its apps and routes, and what keeps an app from two hands at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from funai.agent.metrics import AgentMetrics
from funai.agent.reconcile import state
from funai.agent.reconcile.state import Desired
from funai.agent.rollout.visit import PublicEntry
from funai.agent.settings import RuntimeSettings
from funai.agent.workload.contract import AppView, EngineInfo, Instance, WorkloadError, Workloads
from funai.agent.workload.patience import patiently
from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason
from funai.contracts.routes import Route, RouteState, RouteTable

T = TypeVar("T")
TAIL_LINES = 40
TAIL_BYTES = 16 * 1024


@dataclass
class _Hand:
    """The worker on one app. Kept only while there is one, or one waits."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    rollout: asyncio.Task[object] | None = None
    generation: int | None = None


class Busy:
    """Serialises work on an app. A rollout or start refuses a second one; stop and delete end it; the sweep steps aside."""

    def __init__(self) -> None:
        self._hands: dict[int, _Hand] = {}

    @contextmanager
    def _hand(self, app_id: int) -> Iterator[_Hand]:
        hand = self._hands.setdefault(app_id, _Hand())
        hand.users += 1
        try:
            yield hand
        finally:
            hand.users -= 1
            if not hand.users:
                del self._hands[app_id]

    def rolling(self, app_id: int) -> bool:
        hand = self._hands.get(app_id)
        return hand is not None and hand.rollout is not None

    @asynccontextmanager
    async def rollout(self, app_id: int, generation: int | None = None) -> AsyncIterator[None]:
        """For a deploy or start. Raises Conflict ``DEPLOY_IN_PROGRESS`` while another one has the app."""
        with self._hand(app_id) as hand:
            if hand.rollout:
                raise Conflict(Reason.DEPLOY_IN_PROGRESS)
            task = asyncio.current_task()
            assert task is not None
            hand.rollout, hand.generation = task, generation
            try:
                async with hand.lock:
                    yield
            finally:
                hand.rollout = hand.generation = None

    @asynccontextmanager
    async def end_rollout(self, app_id: int, generation: int | None = None) -> AsyncIterator[None]:
        """For stop and delete: cancel a rollout, wait until it has cleaned up, then hold the app.

        Raises Conflict ``STALE_GENERATION`` when the rollout is of a newer generation than this was decided for.
        """
        with self._hand(app_id) as hand:
            if hand.rollout:
                if generation is not None and (hand.generation or 0) > generation:
                    raise Conflict(Reason.STALE_GENERATION)
                hand.rollout.cancel()
            async with hand.lock:
                yield

    @asynccontextmanager
    async def if_free(self, app_id: int) -> AsyncIterator[bool]:
        """For the sweep: yields False when another task works on the app."""
        with self._hand(app_id) as hand:
            if hand.lock.locked():
                yield False
                return
            async with hand.lock:
                yield True


async def to_the_end(work: Coroutine[object, object, T]) -> T:
    """Do ``work`` wholly, also when the awaiting task is cancelled meanwhile; then answer as if nothing had been."""
    task = asyncio.ensure_future(work)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.done():
                raise


class Node:
    """Shared by everything that works on this node's apps. ``info`` is what the engine said when the agent started."""

    def __init__(
        self, settings: RuntimeSettings, workloads: Workloads, routes: RouteTable, info: EngineInfo, metrics: AgentMetrics
    ) -> None:
        self.settings, self.workloads, self.routes, self.info = settings, workloads, routes, info
        self.metrics = metrics
        self.busy = Busy()
        self.apps_url = ""
        """The template of apps' own addresses as people are given them; empty where there are none."""
        self.upstream_url = ""
        """Where an edge reaches the gateway; empty: where the public does."""
        self.entry: PublicEntry | None = None
        """Where a finished rollout is looked at as a visitor would; None: nowhere."""
        self.changed = asyncio.Event()
        """Set when an app was rolled out, started, stopped or deleted: Deploy is notified at once."""
        self.acknowledged: dict[int, Route] = {}
        """The routes that the gateway has acknowledged, by app id; one whose change failed is not among them."""

    async def look(self, app_id: int, *, patience: float = 0) -> AppView:
        """The app now. ``patience`` seconds waits for an engine that is restarting."""
        return await patiently(lambda: self.workloads.look(app_id), patience)

    def desired_route(self, app: AppView) -> Route | None:
        """The route the app should have, given only its instances.

        One that is down keeps its fixed address (the gateway says that it does not answer); without one it is starting:
        a published port is dealt anew, and may be another's meanwhile.
        """
        mend = state.repair(app)
        if mend.desired is Desired.STOPPED:
            return state.stopped_route(app.app_id)
        if mend.desired is Desired.GONE or mend.keep is None:
            return None
        if end := mend.keep.endpoint or mend.keep.home:
            return state.route_to(mend.keep, end)
        return Route(app.app_id, RouteState.STARTING)

    async def stop(self, instance: Instance) -> None:
        """Stop it within the grace. Raises WorkloadError."""
        await self.workloads.stop(instance, self.settings.stop_grace_seconds)

    async def tell(self, route: Route) -> None:
        """Put a route. Raises GatewayError; the sweep then tells it again."""
        self.acknowledged.pop(route.app_id, None)
        with self.metrics.switch():
            await self.routes.put(route)
        self.acknowledged[route.app_id] = route

    async def invalidate(self, app_id: int) -> None:
        """The app has no route. Raises GatewayError."""
        with self.metrics.switch():
            await self.routes.remove(app_id)
        self.acknowledged.pop(app_id, None)

    async def tail(self, instance: Instance, lines: int = TAIL_LINES) -> list[str]:
        """Its last lines; empty when the engine can't give them (that must not hide the real failure)."""
        try:
            pieces = [piece async for piece in self.workloads.logs(instance, tail=lines, follow=False)]
        except WorkloadError:
            return []
        text = b"".join(pieces)[-TAIL_BYTES:].decode("utf-8", "replace")
        return [line.rstrip() for line in text.splitlines()][-lines:]
