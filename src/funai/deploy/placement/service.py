"""Choosing nodes for claims."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.reasons import WaitReason
from funai.contracts.wire import from_epoch_ms
from funai.deploy.placement import candidates, policy, stale, store
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.queue.ports import Waiting
from funai.deploy.settings import DeploySettings

_TRIES = 5


def rules_from(settings: DeploySettings) -> Rules:
    """The operator's numbers as the policy takes them."""
    return Rules(
        stale_ms=settings.node_stale_seconds * 1000,
        min_pct=settings.disk_free_min_pct,
        drain_pct=settings.disk_free_drain_pct,
        hysteresis_pct=settings.disk_hysteresis_pct,
        strategy=settings.placement_strategy,
        app_bytes=settings.placement_app_bytes,
        memory_overcommit=settings.memory_overcommit,
    )


class Placer:
    """``jobs.ports.Placer``: where an app lives, decided in the transaction that claims its job."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    async def place(
        self, conn: AsyncConnection, app_id: int, now_ms: int, user_id: int | None = None
    ) -> RuntimeNodeRef | Waiting:
        """The app's own node if it has one (it is never left for another here), else a new one, remembered.

        ``now_ms`` is the database's clock. An answer of Waiting leaves an app that lives nowhere living nowhere.
        """
        for _ in range(_TRIES):
            lives = await store.home(conn, app_id, user_id, now_ms)
            if lives is not None:
                if lives.node is not None:
                    return await self._again(conn, app_id, lives, now_ms)
                await store.unsettle(conn, app_id)
            chosen = await candidates.choose(conn, app_id, now_ms, self.rules)
            if isinstance(chosen, WaitReason):
                return Waiting(chosen.value)
            if not await store.settle(conn, app_id, chosen.id, user_id, now_ms):
                continue  # another transaction has just placed it: look where
            if await store.book(conn, chosen.id, now_ms, self.rules):
                await stale.forget(conn, app_id, chosen.id)
                return _ref(chosen)
            await store.unsettle(conn, app_id)  # the node changed under the choice: choose again
        return Waiting(WaitReason.NO_RUNTIME_NODE.value)

    async def place_on(self, conn: AsyncConnection, app_id: int, node_id: int, now_ms: int) -> RuntimeNodeRef | None:
        """The node that the app moves to, for its job; the app belongs to where it is until the job succeeded.

        None when the node is gone, or may not take a new app.
        """
        await store.home(conn, app_id, None, now_ms)
        node = await store.node(conn, node_id)
        if node is None or not await store.book(conn, node_id, now_ms, self.rules):
            return None
        await stale.forget(conn, app_id, node_id)
        return _ref(node)

    async def _again(self, conn: AsyncConnection, app_id: int, lives: store.Home, now_ms: int) -> RuntimeNodeRef | Waiting:
        assert lives.node is not None
        why = policy.stays(lives.node, now_ms, self.rules)
        if why is not None:
            return Waiting(why.value)
        if lives.leftover:  # a stop left an order to remove it here, which would hit what is being deployed now
            await stale.forget(conn, app_id, lives.node_id)
        return _ref(lives.node)


def _ref(node: Node) -> RuntimeNodeRef:
    return RuntimeNodeRef(
        id=node.id,
        name=node.name,
        agent_base_url=node.agent_base_url or "",
        gateway_base_url=node.gateway_base_url or "",
        apps_url=node.apps_url or None,
        enabled=node.enabled,
        weight=node.weight,
        last_heartbeat_at=from_epoch_ms(node.heartbeat_ms) if node.heartbeat_ms else None,
        disk_free_pct=node.disk_free_pct,
        disk_free_bytes=node.disk_free_bytes,
        container_count=node.containers,
    )
