"""Threshold, repeat and recovery in real databases, with several instances of Deploy that look at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import insert, select, update

from funai.base.db.engine import Database
from funai.contracts.apps.edge import GatewayCertificate, GatewayFigures
from funai.contracts.nodes import RuntimeNode
from funai.contracts.states import NodeHealth
from funai.deploy.alerts.channels import Notice, NotSent
from funai.deploy.alerts.conditions import Facts, Limits
from funai.deploy.alerts.facts import DAY_MS
from funai.deploy.alerts.gateways import FRESH_MS, KEPT_MS, GatewayBook
from funai.deploy.alerts.settings import AlertSettings
from funai.deploy.alerts.watch import AlertWatch
from funai.deploy.tables import alert, domain, gateway
from funai.gateway.haproxy.access_log import Seen
from funai.gateway.metrics import CertificateMetrics, GatewayMetrics
from funai.gateway.report import GatewayReporter
from tests.service.deploy.queue.kit import deploying

LIMITS = Limits(drain_pct=25, queue_seconds=300, certificate_days=14)


@dataclass
class Channel:
    """Keeps what it is given; ``broken`` takes nothing."""

    name: str = "test"
    broken: bool = False
    seen: list[Notice] = field(default_factory=list[Notice])

    async def send(self, notice: Notice) -> None:
        if self.broken:
            raise NotSent("HTTP 500")
        self.seen.append(notice)

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(n.key, n.state) for n in self.seen]


def silent(name: str) -> RuntimeNode:
    return RuntimeNode(id=1, name=name, enabled=True, weight=100, health=NodeHealth.STALE)


WELL = Facts([], [], 0, False, (), "d1")
BAD = Facts([silent("n1")], [], 0, False, (), "d1")


class World:
    """One database, and instances of Deploy that see ``facts``. Runners are left out: no Runner is another alert."""

    def __init__(self, db: Database, **settings: Any) -> None:
        given: dict[str, Any] = {"alert_after_seconds": 0, "alert_repeat_seconds": 3600, "alert_language": "en"}
        self.db, self.settings, self.facts = db, AlertSettings(**{**given, **settings}), BAD
        self.channel = Channel()

    def instance(self, name: str = "d1") -> AlertWatch:
        async def look() -> Facts:
            return replace(self.facts, instance=name)

        return AlertWatch(self.db, self.settings, LIMITS, look, [self.channel])

    async def ago(self, seconds: int) -> None:
        """What is known began, and was sent, this much earlier."""
        early = {"since_ms": alert.c.since_ms - seconds * 1000, "sent_ms": alert.c.sent_ms - seconds * 1000}
        async with self.db.write() as conn:
            await conn.execute(update(alert).values(**early))

    def seen(self, key: str = "silent:n1") -> list[str]:
        return [state for k, state in self.channel.states if k == key]


async def test_run_once_sends_after_the_threshold_repeats_and_tells_of_the_recovery(deploy_db: Database) -> None:
    world = World(deploy_db, alert_after_seconds=120)
    watch = world.instance()
    await watch.run_once()
    await watch.run_once()
    assert world.seen() == []
    await world.ago(120)
    await watch.run_once()
    await watch.run_once()
    assert world.seen() == ["firing"]
    await world.ago(3600)
    await world.instance().run_once()
    assert world.seen() == ["firing", "again"], "another life of Deploy remembers"
    world.facts = WELL
    await watch.run_once()
    await watch.run_once()
    assert world.seen() == ["firing", "again", "recovered"]
    assert world.channel.seen[0].title == "[FunAI] ALERT: NODE_SILENT n1"
    assert "no heartbeat" in world.channel.seen[-1].text


async def test_run_once_of_what_passes_before_the_threshold_sends_nothing(deploy_db: Database) -> None:
    world = World(deploy_db, alert_after_seconds=120)
    await world.instance().run_once()
    world.facts = WELL
    await world.instance().run_once()
    assert world.seen() == []
    assert [r["alert_key"] for r in await deploy_db.fetch_all(select(alert))] == ["runners"]


async def test_run_once_of_many_instances_sends_each_change_once(deploy_db: Database) -> None:
    world = World(deploy_db)
    instances = [world.instance(f"d{n}") for n in range(6)]
    await asyncio.gather(*(i.run_once() for i in instances))
    await asyncio.gather(*(i.run_once() for i in instances))
    world.facts = WELL
    await asyncio.gather(*(i.run_once() for i in instances))
    assert world.seen() == ["firing", "recovered"]


async def test_run_once_leaves_what_another_instance_alone_knows(deploy_db: Database) -> None:
    world = World(deploy_db)
    world.facts = replace(WELL, retention_failing=True)
    await world.instance("d1").run_once()
    world.facts = WELL
    await world.instance("d2").run_once()
    assert world.seen("retention:d1") == ["firing"]
    await world.instance("d1").run_once()
    assert world.seen("retention:d1") == ["firing", "recovered"]


async def test_run_once_tries_again_what_no_channel_took(deploy_db: Database) -> None:
    world = World(deploy_db)
    watch = world.instance()
    world.channel.broken = True
    assert await watch.run_once() == 0
    world.channel.broken = False
    assert await watch.run_once() == 2
    assert sorted(world.channel.states) == [("runners", "firing"), ("silent:n1", "firing")]


async def test_a_gateways_errors_are_sent_after_the_threshold_and_it_recovers(deploy_db: Database) -> None:
    world, book = World(deploy_db, alert_after_seconds=120), GatewayBook(deploy_db)
    watch = world.instance()

    async def reported(failed: int) -> None:
        figures = GatewayFigures(name="edge-1", requests=100, failed=failed)
        await book.note("edge", figures)
        world.facts = replace(WELL, gateways=await book.states())
        await watch.run_once()

    await reported(50)
    assert world.seen("errors:edge-1") == []
    await world.ago(120)
    await reported(60)
    await reported(0)
    assert world.seen("errors:edge-1") == ["firing", "recovered"]
    assert "60 requests" in next(n for n in world.channel.seen if n.key == "errors:edge-1").text


async def test_gateway_that_is_silent_keeps_its_certificates_but_no_counts(deploy_db: Database) -> None:
    book = GatewayBook(deploy_db)
    soon = datetime.now(UTC) + timedelta(days=3)
    ends = [GatewayCertificate(name="apps.example.com", ends_at=soon)]
    await book.note("node", GatewayFigures(name="n1", requests=5, failed=5, certificates=ends))
    await book.note("edge", GatewayFigures(name="n1"))
    edge, node = await book.states()
    assert (node.name, node.requests, node.failed, edge.ending) == ("n1", 5, 5, [])
    [(name, days)] = node.ending
    assert (name, round(days)) == ("apps.example.com", 3)

    async def earlier(ms: int) -> None:
        async with deploy_db.write() as conn:
            await conn.execute(update(gateway).values(seen_ms=gateway.c.seen_ms - ms))

    await earlier(FRESH_MS)
    node = (await book.states())[1]
    assert (node.requests, node.failed, len(node.ending)) == (0, 0, 1)
    await earlier(KEPT_MS)
    assert await book.states() == []
    assert await book.prune() == 2


async def test_gateway_of_a_node_is_reported_from_its_metrics_and_again_what_deploy_did_not_take(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as deploy:
        registry, taken = CollectorRegistry(), [False, True, True]
        metrics = GatewayMetrics(registry)
        CertificateMetrics(registry, lambda: {"apps.example.com": 2_000_000_000.0})

        async def send(figures: GatewayFigures) -> bool:
            return await deploy.nodes.gateway(figures) and taken.pop(0)

        reporter = GatewayReporter("n1", registry, send)
        for status in (200, 503, 502):
            metrics.count(Seen(0, 7, status, 1, 1, 1, b""))
        seen: list[tuple[int, int]] = []
        for _ in range(3):
            await reporter.report()
            [state] = await deploy.core.gateways.states()
            seen.append((state.requests, state.failed))
        assert seen == [(3, 2), (3, 2), (0, 0)]
        [known] = (await deploy.core.alerts.facts()).gateways
        assert (known.name, [name for name, _ in known.ending]) == ("n1", ["apps.example.com"])


async def test_deploy_looks_at_its_own_nodes_runners_and_queue(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as deploy:
        await deploy.node(free=9)
        facts = await deploy.core.alerts.facts()
        assert [(n.name, n.health) for n in facts.nodes] == [("n1", NodeHealth.UNHEALTHY)]
        assert (list(facts.runners), facts.oldest_seconds, facts.retention_failing, facts.ending) == ([], 0, False, [])
        await deploy.create(7)
        soon, later = (await deploy.core.joining.standing("n1")).now_ms + 3 * DAY_MS, 2**52
        rows = [("a.test", "ACTIVE", soon), ("b.test", "ACTIVE", later), ("c.test", "FAILED", soon), ("d", "ACTIVE", None)]
        async with deploy.core.db.write() as conn:
            values = [{"name": n, "state": s, "not_after_ms": e, "app_id": 1, "user_id": 1} for n, s, e in rows]
            await conn.execute(insert(domain), values)
        [(name, days)] = (await deploy.core.alerts.facts()).ending
        assert (name, round(days)) == ("a.test", 3)
        assert (await deploy.core.alerts.facts()).oldest_seconds >= 0
        assert await deploy.core.alerts.run_once() == 0, "without a channel nothing is sent"
