"""Nodes and placements in the database. Every function runs in the caller's transaction.

Two things make placement safe against what happens meanwhile. An app's row in the placement table is locked before its
node is used (an UPDATE that touches it, or the INSERT that makes it), so two claims, or a claim and a reassign, see one
after the other. And a node is taken by :func:`book`, an UPDATE that repeats every condition of the choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.inserts import if_new, insert_new
from funai.base.db.rows import Row, all_rows, one_row
from funai.contracts.nodes import NodeHeartbeat, UpsertNode
from funai.contracts.states import JobStatus
from funai.deploy.edge.changes import Subject, touch
from funai.deploy.placement.policy import Marks, Node, Rules
from funai.deploy.tables import app_run, job, leftover, placement, runtime_node

COLUMNS = (
    runtime_node.c.id,
    runtime_node.c.name,
    runtime_node.c.agent_base_url,
    runtime_node.c.gateway_base_url,
    runtime_node.c.apps_url,
    runtime_node.c.upstream_url,
    runtime_node.c.enabled,
    runtime_node.c.weight,
    runtime_node.c.last_heartbeat_ms,
    runtime_node.c.disk_free_pct,
    runtime_node.c.disk_free_bytes,
    runtime_node.c.drained,
    runtime_node.c.unhealthy,
    runtime_node.c.placed_since_heartbeat,
    runtime_node.c.container_count,
    runtime_node.c.memory_bytes,
    runtime_node.c.memory_free_bytes,
    runtime_node.c.app_memory_bytes,
)


def _node(row: Any) -> Node:
    return node_in(row._mapping)


def node_in(row: Mapping[str, Any]) -> Node:
    """From a row of these columns, by name."""
    return Node(
        id=row["id"],
        name=row["name"],
        agent_base_url=row["agent_base_url"],
        gateway_base_url=row["gateway_base_url"],
        apps_url=row["apps_url"],
        upstream_url=row["upstream_url"],
        enabled=bool(row["enabled"]),
        weight=row["weight"] or 100,
        heartbeat_ms=row["last_heartbeat_ms"],
        disk_free_pct=_pct(row["disk_free_pct"]),
        disk_free_bytes=row["disk_free_bytes"],
        drained=bool(row["drained"]),
        unhealthy=bool(row["unhealthy"]),
        placed_since_heartbeat=row["placed_since_heartbeat"],
        containers=row["container_count"] or 0,
        memory_bytes=row["memory_bytes"],
        memory_free_bytes=row["memory_free_bytes"],
        app_memory_bytes=row["app_memory_bytes"],
    )


def _pct(value: float | None) -> float | None:
    """As the node reported it: MySQL's FLOAT keeps seven digits, and gives them back as the nearest of all sixteen."""
    return None if value is None else round(value, 4)


_NODES = select(*COLUMNS).order_by(runtime_node.c.id)


async def nodes(conn: AsyncConnection) -> list[Node]:
    return [_node(r) for r in await conn.execute(_NODES)]


async def node(conn: AsyncConnection, node_id: int) -> Node | None:
    row = (await conn.execute(select(*COLUMNS).where(runtime_node.c.id == node_id))).first()
    return _node(row) if row else None


@dataclass(frozen=True, slots=True)
class Named:
    """A node's row, locked. ``now_ms`` is the database's clock; ``told`` whether it has something of an app to remove."""

    node: Node
    now_ms: int
    told: bool


_WIDTHS = (1, 4, 16, 64, 200)
"""How many names a prepared query takes; the last name fills up what is left."""
MOST_NAMES = _WIDTHS[-1]


class NodeLock:
    """The nodes of some names, their rows locked in the order of their ids, and made when they were not there. Queries are
    made once; ``now`` is the database's clock."""

    def __init__(self, now: ColumnElement[int]) -> None:
        self._now = now
        self._queries = {width: self._query(width) for width in _WIDTHS}

    def _query(self, width: int) -> Select[*tuple[Any, ...]]:
        left = exists().where(leftover.c.node_id == runtime_node.c.id, leftover.c.ready == 1)
        query = select(*COLUMNS, self._now.label("now_ms"), left.label("told"))
        mine = runtime_node.c.name.in_([bindparam(f"p_name{n}", type_=String) for n in range(width)])
        return query.where(mine).order_by(runtime_node.c.id).with_for_update(of=runtime_node)

    async def __call__(self, conn: AsyncConnection, names: Iterable[str]) -> dict[str, Named]:
        """At most ``MOST_NAMES``."""
        wanted = sorted(set(names))
        rows = await self._find(conn, wanted)
        new = set(wanted) - {row["name"] for row in rows}
        if new:
            for name in sorted(new):
                await insert_new(conn, runtime_node, {"name": name, "created_ms": self._now, "updated_ms": self._now})
            rows = await self._find(conn, wanted)
        return {row["name"]: Named(node_in(row), int(row["now_ms"]), bool(row["told"])) for row in rows}

    async def _find(self, conn: AsyncConnection, names: Sequence[str]) -> list[Row]:
        width = next(w for w in _WIDTHS if w >= len(names))
        given = {f"p_name{n}": names[min(n, len(names) - 1)] for n in range(width)}
        return await all_rows(conn, self._queries[width], given)


def _told(name: str) -> ColumnElement[Any]:
    """The reported value of a column, or the stored one."""
    column = runtime_node.c[name]
    return func.coalesce(bindparam(f"p_{name}", type_=column.type), column)


_TOLD = (
    "agent_base_url",
    "gateway_base_url",
    "disk_free_pct",
    "disk_free_bytes",
    "container_count",
    "cpu_pct",
    "memory_free_bytes",
    "memory_bytes",
    "app_memory_bytes",
    "capacity",
    "engine",
    "apps_url",
    "upstream_url",
    "problem",
    "agent_version",
)
_HEARTBEAT = (
    update(runtime_node)
    .where(runtime_node.c.id == bindparam("p_id"))
    .values(
        {name: _told(name) for name in _TOLD}
        | {
            "drained": bindparam("p_drained"),
            "unhealthy": bindparam("p_unhealthy"),
            "crash_looping_json": bindparam("p_looping"),
            "placed_since_heartbeat": 0,
            "last_heartbeat_ms": bindparam("p_now"),
            "last_heartbeat_at": func.current_timestamp(),
            "updated_ms": bindparam("p_now"),
        }
    )
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat to write: the node as it was and as reported, and whether new apps stay away from it from now on."""

    before: Named
    given: NodeHeartbeat
    marks: Marks

    def values(self) -> dict[str, Any]:
        told = {f"p_{name}": getattr(self.given, name) for name in _TOLD}
        looping = ",".join(str(a) for a in self.given.crash_looping)
        mine = {"p_id": self.before.node.id, "p_now": self.before.now_ms, "p_looping": f"[{looping}]"}
        return told | mine | {"p_drained": int(self.marks.drained), "p_unhealthy": int(self.marks.unhealthy)}

    def after(self) -> Node:
        node, given = self.before.node, self.given
        return replace(
            node,
            agent_base_url=given.agent_base_url or node.agent_base_url,
            gateway_base_url=given.gateway_base_url or node.gateway_base_url,
            apps_url=node.apps_url if given.apps_url is None else given.apps_url,
            upstream_url=given.upstream_url or node.upstream_url,
            disk_free_pct=node.disk_free_pct if given.disk_free_pct is None else given.disk_free_pct,
            heartbeat_ms=self.before.now_ms,
            drained=self.marks.drained,
            unhealthy=self.marks.unhealthy,
            placed_since_heartbeat=0,
        )


async def write_heartbeats(conn: AsyncConnection, heartbeats: Sequence[Heartbeat]) -> None:
    """Writes what heartbeats reported. What was left out stays; a burst's count starts anew."""
    await conn.execute(_HEARTBEAT, [heartbeat.values() for heartbeat in heartbeats])
    elsewhere = [b.before.node.id for b in heartbeats if b.after().edge_url != b.before.node.edge_url]
    await touch(conn, Subject.NODE, *elsewhere)


async def amend(conn: AsyncConnection, node_id: int, given: UpsertNode, now_ms: int) -> None:
    """Write what an operator set of a node; what was not given stays."""
    values = given.model_dump(exclude={"name"}, exclude_none=True, by_alias=False)
    if given.enabled is not None:
        values["enabled"] = int(given.enabled)
    await conn.execute(update(runtime_node).where(runtime_node.c.id == node_id).values(**values, updated_ms=now_ms))
    if given.gateway_base_url is not None:
        await touch(conn, Subject.NODE, node_id)


@dataclass(frozen=True, slots=True)
class Home:
    """Where an app lives. ``node`` is None when its row is gone; ``leftover``: the node is to remove what it has of it."""

    node_id: int
    node: Node | None
    leftover: bool


_HERE = placement.c.app_id == bindparam("p_app")
_TOUCH = (
    update(placement)
    .where(_HERE)
    .values(
        last_active_at=bindparam("p_now"), user_id=func.coalesce(bindparam("p_user", type_=BigInteger), placement.c.user_id)
    )
)
_LEFT = exists().where(leftover.c.app_id == placement.c.app_id, leftover.c.node_id == placement.c.node_id)
_HOME = (
    select(placement.c.node_id.label("home_id"), _LEFT.label("left_here"), *COLUMNS)
    .select_from(placement.outerjoin(runtime_node, runtime_node.c.id == placement.c.node_id))
    .where(_HERE)
)


async def home(conn: AsyncConnection, app_id: int, user_id: int | None, now_ms: int) -> Home | None:
    """Where the app lives, its placement locked; None when it lives nowhere."""
    touched = await conn.execute(_TOUCH, {"p_app": app_id, "p_now": now_ms, "p_user": user_id})
    if touched.rowcount == 0:
        return None
    row = await one_row(conn, _HOME, {"p_app": app_id})
    return Home(row["home_id"], node_in(row) if row["id"] is not None else None, bool(row["left_here"]))


_SETTLE = ("app_id", "node_id", "user_id", "last_active_at", "created_ms")


@cache
def _settled(dialect: str) -> Any:
    # Numbers always fit, so that nothing is ignored here but the row that is there.
    return if_new(dialect, placement, {name: bindparam(f"p_{name}", type_=BigInteger) for name in _SETTLE}, ignore=True)


async def settle(conn: AsyncConnection, app_id: int, node_id: int, user_id: int | None, now_ms: int) -> bool:
    """Make the app's placement; False when it has one (waits for a transaction that is making it)."""
    row = dict(zip(_SETTLE, (app_id, node_id, user_id, now_ms, now_ms), strict=True))
    made = await conn.execute(_settled(conn.dialect.name), {f"p_{k}": v for k, v in row.items()})
    if made.rowcount == 1:
        await touch(conn, Subject.APP, app_id)
    return made.rowcount == 1


async def unsettle(conn: AsyncConnection, app_id: int) -> int:
    """Forget where the app lives; answers 1 when it lived somewhere."""
    gone = (await conn.execute(delete(placement).where(placement.c.app_id == app_id))).rowcount
    await touch(conn, Subject.APP, app_id)
    return gone


async def move(conn: AsyncConnection, app_id: int, node_id: int, now_ms: int) -> None:
    await conn.execute(update(placement).where(placement.c.app_id == app_id).values(node_id=node_id, last_active_at=now_ms))
    await touch(conn, Subject.APP, app_id)


async def serves(conn: AsyncConnection, app_id: int) -> None:
    """The app is served by another node from now on: whoever writes ``app_run.node_id`` says so in the same transaction."""
    await touch(conn, Subject.APP, app_id)


_BOOK = (
    update(runtime_node)
    .where(
        runtime_node.c.id == bindparam("p_id"),
        runtime_node.c.enabled == 1,
        runtime_node.c.drained == 0,
        runtime_node.c.unhealthy == 0,
        runtime_node.c.last_heartbeat_ms > bindparam("p_fresh", type_=BigInteger),
        runtime_node.c.last_heartbeat_ms < bindparam("p_ahead", type_=BigInteger),
        runtime_node.c.agent_base_url.is_not(None),
        runtime_node.c.gateway_base_url.is_not(None),
    )
    .values(placed_since_heartbeat=runtime_node.c.placed_since_heartbeat + 1)
)


async def book(conn: AsyncConnection, node_id: int, now_ms: int, rules: Rules) -> bool:
    """Count one more app on the node if it still may take a new one; locks its row until the transaction ends."""
    given = {"p_id": node_id, "p_fresh": now_ms - rules.stale_ms, "p_ahead": now_ms + rules.stale_ms}
    return (await conn.execute(_BOOK, given)).rowcount == 1


async def running_job(conn: AsyncConnection, app_id: int) -> int | None:
    """The app's RUNNING job, if it has one."""
    query = select(job.c.id).where(job.c.app_id == app_id, job.c.status == JobStatus.RUNNING.value)
    return (await conn.execute(query)).scalars().first()


async def lodgers(conn: AsyncConnection, node_id: int, after: int, limit: int) -> list[int]:
    """Apps that live on the node, by id, those behind ``after``."""
    mine = (placement.c.node_id == node_id) & (placement.c.app_id > after)
    query = select(placement.c.app_id).where(mine).order_by(placement.c.app_id).limit(limit)
    return list((await conn.execute(query)).scalars())


async def count_lodgers(conn: AsyncConnection) -> dict[int, int]:
    """Apps by node id."""
    query = select(placement.c.node_id, func.count()).group_by(placement.c.node_id)
    return {row[0]: row[1] for row in await conn.execute(query)}


async def listed(conn: AsyncConnection) -> list[tuple[Node, Any]]:
    """Every node and all of its row, by id."""
    rows = (await conn.execute(select(runtime_node).order_by(runtime_node.c.id))).all()
    return [(_node(r), r) for r in rows]


async def placements(
    conn: AsyncConnection, node_id: int | None, offset: int, limit: int, *, app_id: int | None = None
) -> list[dict[str, Any]]:
    query = select(placement).order_by(placement.c.app_id).offset(offset).limit(limit)
    if node_id is not None:
        query = query.where(placement.c.node_id == node_id)
    if app_id is not None:
        query = query.where(placement.c.app_id == app_id)
    return [dict(r) for r in (await conn.execute(query)).mappings()]


async def register(conn: AsyncConnection, name: str, now_ms: int) -> bool:
    """A node of this name; False when it is known."""
    return await insert_new(conn, runtime_node, {"name": name, "created_ms": now_ms, "updated_ms": now_ms})


async def by_name(conn: AsyncConnection, name: str) -> Node | None:
    """The node of this name; its row is locked, where the database has such locks."""
    query = select(runtime_node.c.id).where(runtime_node.c.name == name).with_for_update()
    node_id = (await conn.execute(query)).scalar_one_or_none()
    return None if node_id is None else await node(conn, node_id)


async def remove_node(conn: AsyncConnection, node_id: int, now_ms: int) -> list[int]:
    """Forget the node and what is placed there; answers its apps, which count as stopped from now on."""
    lives = select(placement.c.app_id).where(placement.c.node_id == node_id).order_by(placement.c.app_id)
    apps = [int(app_id) for app_id in (await conn.execute(lives)).scalars()]
    await conn.execute(delete(placement).where(placement.c.node_id == node_id))
    ran = update(app_run).where(app_run.c.node_id == node_id)
    await conn.execute(ran.values(node_id=None, stopped_ms=func.coalesce(app_run.c.stopped_ms, now_ms)))
    await conn.execute(delete(runtime_node).where(runtime_node.c.id == node_id))
    await touch(conn, Subject.APP, *apps)
    await touch(conn, Subject.NODE, node_id)
    return apps
