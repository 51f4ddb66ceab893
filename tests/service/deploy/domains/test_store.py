"""Names in Deploy's database: whose they are, which node serves them, and what it tells of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from funai.contracts.apps.domains import AddDomain, DomainReport, DomainRoute, DomainState, DomainTarget, NodeDomains
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.reasons import DomainTrouble
from funai.deploy.apps import overview
from funai.deploy.domains import store
from funai.deploy.domains.service import DomainBook
from funai.deploy.releases import runs
from tests.service.deploy.plane import Plane

SHOP = "shop.example.com"
ENDS = datetime(2027, 1, 1, tzinfo=UTC)


def asked(name: str, app_id: int, user_id: int = 1, limit: int = 2) -> AddDomain:
    return AddDomain(user_id=user_id, app_id=app_id, name=name, limit=limit)


def report(name: str, app_id: int, state: DomainState = DomainState.ACTIVE, **more: object) -> DomainReport:
    url = f"https://{name}/" if state is DomainState.ACTIVE else None
    return DomainReport.model_validate({"name": name, "app_id": app_id, "state": state, "url": url, **more})


async def test_a_name_belongs_to_one_app(plane: Plane) -> None:
    book = DomainBook(plane.db)
    added = await book.add(asked("Shop.Example.com.", 7))
    assert (added.name, added.state, added.reason) == (SHOP, DomainState.PENDING, DomainTrouble.NOT_DEPLOYED)
    assert await book.add(asked(SHOP, 7)) == added
    for app_id, user_id, reason in ((8, 1, "DOMAIN_OTHER_APP"), (9, 2, "DOMAIN_TAKEN")):
        with pytest.raises(Conflict) as refused:
            await book.add(asked(SHOP, app_id, user_id))
        assert refused.value.reason == reason
    await book.add(asked("b.example.com", 7))
    with pytest.raises(Conflict, match="at most 2"):
        await book.add(asked("c.example.com", 7))
    with pytest.raises(NotFound):
        await book.remove(DomainTarget(app_id=8, name=SHOP))
    await book.remove(DomainTarget(app_id=7, name=SHOP))
    assert [d.name for d in await book.list(7)] == ["b.example.com"]
    await book.add(asked(SHOP, 9, 2))


async def test_a_name_that_was_never_served_can_t_be_kept_from_others_for_long(plane: Plane) -> None:
    now_ms = await plane.now()
    async with plane.db.write() as conn:
        await store.add(conn, SHOP, 7, 1, 9, now_ms - store.ABANDONED_MS - 1)
        await store.add(conn, SHOP, 8, 2, 9, now_ms)
    assert [d.name for d in await DomainBook(plane.db).list(8)] == [SHOP]
    assert await DomainBook(plane.db).list(7) == []


async def test_the_platform_s_own_names_are_reserved(plane: Plane) -> None:
    await plane.beat("n1", gatewayBaseUrl="https://gw.example.net:8443", appsUrl="https://{app}.apps.example.net:8443/")
    for name in ("gw.example.net", "apps.example.net", "9.apps.example.net"):
        with pytest.raises(Conflict, match="platform's own"):
            await DomainBook(plane.db).add(asked(name, 7))


async def test_names_follow_their_app_s_node_and_it_tells_how_they_are(plane: Plane) -> None:
    book = DomainBook(plane.db)
    node = await plane.beat("n1", appsUrl="http://{app}.apps.example.net/")
    other = await plane.beat("n2", pct=None)
    await book.add(asked(SHOP, 7))
    await plane.placed(7)

    async def exchange(name: str, *reports: DomainReport) -> list[DomainRoute]:
        return await book.exchange(NodeDomains(node_name=name, reports=list(reports)))

    assert await exchange("n1") == [DomainRoute(name=SHOP, app_id=7)]
    assert await exchange("n2", report(SHOP, 7)) == []  # not its own: not believed
    away = report(SHOP, 7, DomainState.DNS_WRONG, reason=DomainTrouble.DNS_ELSEWHERE, details={"found": "192.0.2.1"})
    await exchange("n1", away, report("other.example.com", 7))
    [shown] = await book.list(7)
    assert (shown.state, shown.reason, shown.details) == (DomainState.DNS_WRONG, "DOMAIN_DNS_ELSEWHERE", {"found": "192.0.2.1"})
    await exchange("n1", report(SHOP, 7, not_after=ENDS))
    async with plane.db.read() as conn:
        rows = await store.for_node(conn, "n1")
    assert store.news(rows, [report(SHOP, 7, not_after=ENDS), report("x.example.com", 7)]) == []  # nothing is written
    [shown] = await book.list(7)
    assert (shown.state, shown.url, shown.not_after) == (DomainState.ACTIVE, f"https://{SHOP}/", ENDS)
    async with plane.db.write() as conn:
        await runs.set_stopped(conn, 7, None)
    assert (await book.check(DomainTarget(app_id=7, name=SHOP))).state is DomainState.ACTIVE
    assert [r.asked for r in await exchange("n1")] == [1]
    assert node != other


async def test_an_app_s_address_is_its_domain_while_that_is_served(plane: Plane) -> None:
    book = DomainBook(plane.db)
    node = await plane.beat("n1", appsUrl="http://{app}.apps.example.net/")
    await plane.placed(7)
    async with plane.db.write() as conn:
        await conn.execute(overview.app_run.insert().values(app_id=7, node_id=node))
        label = await store.alias(conn, "shop-ada", 7, 1, 1)
        assert (label, await store.alias(conn, "other", 7, 1, 1)) == ("shop-ada", "shop-ada")
        assert await store.alias(conn, "shop-ada", 8, 1, 1) is None
    await book.add(asked(SHOP, 7))

    async def address() -> str | None:
        async with plane.db.read() as conn:
            [seen] = await overview.of(conn, [7], await plane.now(), plane.rules)
        return seen.access_url

    assert await address() == "http://7.apps.example.net/"
    await book.exchange(NodeDomains(node_name="n1", reports=[report(SHOP, 7)]))
    assert await address() == f"https://{SHOP}/"
    await book.exchange(
        NodeDomains(node_name="n1", reports=[report(SHOP, 7, DomainState.FAILED, reason="DOMAIN_AUTHORITY_AWAY")])
    )
    assert await address() == "http://7.apps.example.net/"
    assert [(r.name, r.alias) for r in await book.exchange(NodeDomains(node_name="n1"))] == [("shop-ada", True), (SHOP, False)]
    async with plane.db.read() as conn:
        [seen] = await overview.of(conn, [7], await plane.now(), plane.rules)
    assert seen.alias_url == "http://shop-ada.apps.example.net/"
    async with plane.db.write() as conn:
        await store.forget_app(conn, 7)
    assert await book.list(7) == []
