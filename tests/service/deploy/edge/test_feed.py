"""The routes as an edge follows them, on the real tables of each database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.contracts.apps.edge import EdgeName, EdgeNode, EdgeRoute, RouteChanges
from funai.contracts.errors import BadInput, NotFound, Unavailable
from funai.contracts.nodes import UpsertNode
from funai.deploy.domains import store as domains
from funai.deploy.edge import changes
from funai.deploy.edge.feed import RouteFeed
from funai.deploy.placement import store
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.releases import runs
from tests.service.deploy.plane import Plane

LONG = 25.0
"""Longer than any test waits: what returns sooner was woken."""
Work = Callable[[AsyncConnection], Awaitable[object]]


@pytest.fixture
async def other(deploy_db: Database) -> AsyncIterator[RouteFeed]:
    """The feed of another Deploy instance on the same database."""
    db = Database(deploy_db.url.render_as_string(hide_password=False))
    yield RouteFeed(db)
    await db.close()


async def committed(db: Database, work: Work) -> None:
    await db.retrying(work)


def finished(app_id: int, node_id: int) -> FinishedJob:
    return FinishedJob(job_id=1, app_id=app_id, user_id=1, node_id=node_id, payload={}, env_sealed=None)


async def test_every_writer_of_routes_moves_the_revision_and_says_what_is_so_now(plane: Plane) -> None:
    db, feed = plane.db, RouteFeed(plane.db)
    n1, n2 = await plane.beat("n1"), await plane.beat("n2")
    at = (await feed.after(0, 0)).revision

    async def told(work: Work) -> RouteChanges:
        nonlocal at
        await committed(db, work)
        heard = await feed.after(at, 0)
        assert not heard.full and heard.revision > at
        at = heard.revision
        return heard

    settled = await told(lambda c: store.settle(c, 7, n1, 1, 5))
    assert settled.routes == [EdgeRoute(app_id=7, node_id=n1)]
    moved = await told(lambda c: store.move(c, 7, n2, 6))
    assert moved.routes == [EdgeRoute(app_id=7, node_id=n2)]
    deployed = await told(lambda c: runs.succeeded(c, finished(7, n1), 1, 7))
    assert deployed.routes == [EdgeRoute(app_id=7, node_id=n1)]
    gone = await told(lambda c: store.unsettle(c, 7))
    assert gone.routes == [EdgeRoute(app_id=7)]
    await told(lambda c: store.settle(c, 8, n2, 1, 8))
    removed = await told(lambda c: store.remove_node(c, n2, 9))
    assert (removed.routes, removed.nodes) == ([EdgeRoute(app_id=8)], [EdgeNode(id=n2)])

    named = await told(lambda c: domains.add(c, "shop.example.com", 7, 1, 5, 1))
    assert named.names == [EdgeName(name="shop.example.com", app_id=7)]
    alias = await told(lambda c: domains.alias(c, "shop-ann", 7, 1, 1))
    assert alias.names == [EdgeName(name="shop-ann", app_id=7, alias=True)]
    assert (await told(lambda c: domains.remove(c, "shop.example.com", 7))).names == [EdgeName(name="shop.example.com")]
    assert (await told(lambda c: domains.forget_app(c, 7))).names == [EdgeName(name="shop-ann")]


async def test_nodes_are_told_when_their_address_changes_and_only_then(plane: Plane) -> None:
    feed = RouteFeed(plane.db)
    n1 = await plane.beat("n1")
    at = (await feed.after(0, 0)).revision
    await plane.beat("n1", 50)
    assert await feed.after(at, 0) == RouteChanges(revision=at)
    await plane.beat("n1", upstreamUrl="http://10.0.0.5:8000")
    heard = await feed.after(at, 0)
    assert heard.nodes == [EdgeNode(id=n1, name="n1", url="http://10.0.0.5:8000")]
    await plane.nodes.upsert(UpsertNode(name="n3", gateway_base_url="http://n3"))
    assert [n.url for n in (await feed.after(heard.revision, 0)).nodes] == ["http://n3"]


async def test_a_redeploy_where_the_app_serves_already_tells_nothing(plane: Plane) -> None:
    feed, n1 = RouteFeed(plane.db), await plane.beat("n1")
    await plane.placed(7)
    await committed(plane.db, lambda c: runs.succeeded(c, finished(7, n1), 1, 7))
    at = (await feed.after(0, 0)).revision
    await committed(plane.db, lambda c: runs.succeeded(c, finished(7, n1), 2, 8))
    assert (await feed.after(at, 0)).revision == at


async def test_a_waiting_edge_is_woken_by_a_commit_here_and_at_another_instance(plane: Plane, other: RouteFeed) -> None:
    n1 = await plane.beat("n1")
    here = RouteFeed(plane.db)
    at = (await here.after(0, 0)).revision
    assert (await other.after(0, 0)).revision == at
    waiting = [asyncio.create_task(feed.after(at, LONG)) for feed in (here, other)]
    await plane.placed(7)
    for heard in await asyncio.gather(*waiting):
        assert heard.routes == [EdgeRoute(app_id=7, node_id=n1)]
    assert waiting[0].result().revision == waiting[1].result().revision


async def test_a_rollback_tells_nothing_and_a_restart_goes_on_from_the_revision(plane: Plane, other: RouteFeed) -> None:
    n1, feed = await plane.beat("n1"), RouteFeed(plane.db)
    await plane.placed(7)
    at = (await feed.after(0, 0)).revision

    async def undone(conn: AsyncConnection) -> None:
        await store.settle(conn, 8, n1, 1, 5)
        raise NotFound("APP_NOT_FOUND")

    with pytest.raises(NotFound):
        await committed(plane.db, undone)
    assert (await feed.after(at, 0)).revision == at
    assert await other.after(at, 0) == RouteChanges(revision=at)
    await plane.placed(9)
    assert (await other.after(at, LONG)).routes == [EdgeRoute(app_id=9, node_id=n1)]


async def test_concurrent_writers_and_two_readers_lose_no_change(plane: Plane, other: RouteFeed) -> None:
    n1, here = await plane.beat("n1"), RouteFeed(plane.db)
    start = (await here.after(0, 0)).revision
    everything = {first + n for first in (100, 200, 300) for n in range(10)}

    async def follows(feed: RouteFeed) -> None:
        at, missing = start, set(everything)
        while missing:
            heard = await feed.after(at, 0.05)
            assert not heard.full and heard.revision >= at
            at = heard.revision
            missing -= {r.app_id for r in heard.routes if r.node_id == n1}

    async def placed(first: int) -> None:
        for app_id in range(first, first + 10):
            await committed(plane.db, lambda c, app_id=app_id: store.settle(c, app_id, n1, 1, 5))

    async with asyncio.timeout(120):  # a change that was lost would be waited for
        await asyncio.gather(*(follows(feed) for feed in (here, other)), *(placed(first) for first in (100, 200, 300)))


async def test_snapshots_and_changes_come_in_bounded_pages(plane: Plane) -> None:
    feed, n1 = RouteFeed(plane.db), await plane.beat("n1")
    for app_id in range(1, 6):
        await plane.placed(app_id)
    await committed(plane.db, lambda c: domains.alias(c, "a-b", 1, 1, 1))
    whole = await feed.after(0, 0)
    pages = [await feed.after(0, 0, limit=2)]
    while page := pages[-1].next_page:
        pages.append(await feed.after(0, 0, page=page, limit=2))
    assert len(pages) > 2 and all(p.full and len(p.nodes) + len(p.routes) + len(p.names) <= 2 for p in pages)
    assert [r for p in pages for r in p.routes] == whole.routes == [EdgeRoute(app_id=n, node_id=n1) for n in range(1, 6)]
    assert [n for p in pages for n in p.names] == whole.names and [n for p in pages for n in p.nodes] == whole.nodes

    at = changes.FIRST
    told: list[int] = []
    while (heard := await feed.after(at, 0, limit=2)).revision > at:
        at = heard.revision
        told += [r.app_id for r in heard.routes]
    assert sorted(told) == list(range(1, 6)) and at == whole.revision
    with pytest.raises(BadInput):
        await feed.after(0, 0, page="app:x")


async def test_a_revision_that_is_too_old_or_unknown_gets_a_snapshot(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 2)
    feed, _ = RouteFeed(plane.db), await plane.beat("n1")
    for app_id in range(1, 6):
        await plane.placed(app_id)
    newest = (await feed.after(0, 0)).revision
    await feed.prune()
    feed.wake()
    assert (await feed.after(newest - 3, 0)).full
    kept = await feed.after(newest - 2, 0)
    assert not kept.full and len(kept.routes) + len(kept.nodes) == 2
    assert (await feed.after(newest + 50, 0)).full


async def test_the_node_of_an_app_is_its_address_or_why_there_is_none(plane: Plane) -> None:
    feed = RouteFeed(plane.db)
    with pytest.raises(NotFound):
        await feed.node_of(7)
    await plane.beat("n1", upstreamUrl="http://10.0.0.5:8000")
    await plane.placed(7)
    assert (await feed.node_of(7)).url == "http://10.0.0.5:8000"
    bare = await plane.nodes.upsert(UpsertNode(name="bare"))
    await committed(plane.db, lambda c: store.settle(c, 8, bare.id, 1, 5))
    with pytest.raises(Unavailable, match="RUNTIME_NODE_UPSTREAM_URL"):
        await feed.node_of(8)
