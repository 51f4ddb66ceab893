"""The few nodes that the policy chooses from, found by the database: a claim doesn't read a thousand rows.

The statement filters and ranks as :func:`policy.choose` does, and leaves the ties, and the last word, to it. Where no node may
take the app, or each app has a node of its own (``hash``), the policy sees all nodes.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import all_rows
from funai.contracts.reasons import WaitReason
from funai.deploy.placement import policy, store
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.settings import PlacementStrategy
from funai.deploy.tables import runtime_node

FEW = 32
"""Claims that run at the same time don't see each other's choice: they are distinguished among so many equals."""


async def choose(conn: AsyncConnection, app_id: int, now_ms: int, rules: Rules) -> Node | WaitReason:
    """The node for an app that lives nowhere yet, or why there is none."""
    if rules.strategy is PlacementStrategy.DISK_AWARE:
        given = {"p_fresh": now_ms - rules.stale_ms, "p_ahead": now_ms + rules.stale_ms}
        few = [store.node_in(row) for row in await all_rows(conn, _ranked(rules), given)]
        if few:
            return policy.choose(app_id, few, now_ms, rules)
    return policy.choose(app_id, await store.nodes(conn), now_ms, rules)


@cache
def _ranked(rules: Rules) -> Select[*tuple[object, ...]]:
    node = runtime_node.c
    fresh = and_(node.last_heartbeat_ms > bindparam("p_fresh"), node.last_heartbeat_ms < bindparam("p_ahead"))
    able = and_(node.enabled == 1, node.drained == 0, node.unhealthy == 0, fresh)
    addressed = and_(node.agent_base_url != "", node.gateway_base_url != "")
    ranks = (case((_short_of_memory(), 1), else_=0), case((node.disk_free_pct.is_(None), 1), else_=0))
    query = select(*store.COLUMNS).where(able, addressed, _has_memory(rules))
    return query.order_by(*ranks, _expected_free(rules).desc(), node.placed_since_heartbeat, node.id).limit(FEW)


def _expected_free(rules: Rules) -> ColumnElement[float]:
    """As :func:`policy.expected_free_pct`, for nodes that tell their disk."""
    node = runtime_node.c
    share = node.disk_free_pct * float(rules.app_bytes) / (node.disk_free_bytes * literal(1.0, Float))
    known = and_(node.disk_free_bytes > 0, node.disk_free_pct > 0)
    cost = case(
        (and_(known, share > policy.MAX_COST_PCT), literal(policy.MAX_COST_PCT)),
        (known, share),
        else_=literal(policy.DEFAULT_COST_PCT),
    )
    return func.coalesce(node.disk_free_pct - cost * node.placed_since_heartbeat, 0.0)


def _has_memory(rules: Rules) -> ColumnElement[bool]:
    """As :func:`policy.has_memory`."""
    node = runtime_node.c
    if not rules.memory_overcommit:
        return literal(1) == 1
    apps = func.coalesce(node.container_count, 0) + node.placed_since_heartbeat + 1
    unknown = or_(func.coalesce(node.memory_bytes, 0) == 0, func.coalesce(node.app_memory_bytes, 0) == 0)
    return or_(unknown, apps * node.app_memory_bytes <= node.memory_bytes * rules.memory_overcommit)


def _short_of_memory() -> ColumnElement[bool]:
    """As :func:`policy.short_of_memory`."""
    node = runtime_node.c
    asked = (node.placed_since_heartbeat + 1) * func.coalesce(node.app_memory_bytes, 0)
    return and_(node.memory_free_bytes.is_not(None), node.memory_free_bytes < asked)
