"""Where apps are served now, read from the tables that say so. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import all_rows, rows_as
from funai.contracts.apps.edge import EdgeName, EdgeNode, EdgeRoute
from funai.deploy.tables import app_run, domain, placement, runtime_node

T = TypeVar("T")
K = TypeVar("K")
_AT_ONCE = 500
"""Keys in one query."""


def home_of(app_id: ColumnElement[int]) -> ColumnElement[int]:
    """The node that serves the app: where it was deployed last, before that where it is placed; NULL where it lives nowhere.

    A placement alone may point at a node that the app's next deploy goes to, while the old one serves.
    """
    run, place = app_run.alias(), placement.alias()
    deployed = select(run.c.node_id).where(run.c.app_id == app_id).scalar_subquery()
    placed = select(place.c.node_id).where(place.c.app_id == app_id).scalar_subquery()
    return func.coalesce(deployed, placed)


def node_named(name: str) -> ScalarSelect[int]:
    """The id of the node of that name."""
    return select(runtime_node.c.id).where(runtime_node.c.name == name).scalar_subquery()


_HOMES = select(placement.c.app_id, home_of(placement.c.app_id).label("node_id"))
_NODES = select(
    runtime_node.c.id,
    runtime_node.c.name,
    func.coalesce(runtime_node.c.upstream_url, runtime_node.c.gateway_base_url).label("url"),
)
_NAMES = select(domain.c.name, domain.c.app_id, domain.c.alias)


async def routes(conn: AsyncConnection, app_ids: Sequence[int]) -> list[EdgeRoute]:
    """Of these apps, in their order; one that lives nowhere has no node."""
    by_id = {route.app_id: route for route in await _some(EdgeRoute, conn, _HOMES, placement.c.app_id, app_ids)}
    return [by_id.get(app_id) or EdgeRoute(app_id=app_id) for app_id in app_ids]


async def nodes(conn: AsyncConnection, node_ids: Sequence[int]) -> list[EdgeNode]:
    by_id = {node.id: node for node in await _some(EdgeNode, conn, _NODES, runtime_node.c.id, node_ids)}
    return [by_id.get(node_id) or EdgeNode(id=node_id) for node_id in node_ids]


async def names(conn: AsyncConnection, wanted: Sequence[str]) -> list[EdgeName]:
    by_name = {name.name: name for name in await _some(EdgeName, conn, _NAMES, domain.c.name, wanted)}
    return [by_name.get(name) or EdgeName(name=name) for name in wanted]


async def nodes_after(conn: AsyncConnection, after: str, limit: int) -> list[EdgeNode]:
    """All of them by id, those behind ``after``."""
    query = _NODES.where(runtime_node.c.id > int(after or 0)).order_by(runtime_node.c.id).limit(limit)
    return await rows_as(EdgeNode, conn, query)


async def routes_after(conn: AsyncConnection, after: str, limit: int) -> list[EdgeRoute]:
    """All of them by app id, those behind ``after``."""
    query = _HOMES.where(placement.c.app_id > int(after or 0)).order_by(placement.c.app_id).limit(limit)
    return await rows_as(EdgeRoute, conn, query)


async def names_after(conn: AsyncConnection, after: str, limit: int) -> list[EdgeName]:
    """All of them by name, those behind ``after``."""
    query = _NAMES.where(domain.c.name > after).order_by(domain.c.name).limit(limit)
    return await rows_as(EdgeName, conn, query)


async def reserved(conn: AsyncConnection) -> tuple[set[str], set[str]]:
    """(hosts of the nodes' gateways and agents, apps' domains): names that no app may have as its own."""
    addresses = select(runtime_node.c.gateway_base_url, runtime_node.c.agent_base_url, runtime_node.c.apps_url)
    hosts: set[str] = set()
    domains: set[str] = set()
    for row in await all_rows(conn, addresses):
        hosts |= {_host(row["gateway_base_url"]), _host(row["agent_base_url"])}
        domains.add(_host((row["apps_url"] or "").replace("{app}.", "")))
    return hosts - {""}, domains - {""}


def _host(url: str | None) -> str:
    return urlsplit(url or "").hostname or ""


async def _some(
    make: Callable[..., T], conn: AsyncConnection, query: Select[*tuple[Any, ...]], column: ColumnElement[K], keys: Sequence[K]
) -> list[T]:
    """The query's rows of these keys, in no order."""
    found: list[T] = []
    for start in range(0, len(keys), _AT_ONCE):
        found += await rows_as(make, conn, query.where(column.in_(keys[start : start + _AT_ONCE])))
    return found
