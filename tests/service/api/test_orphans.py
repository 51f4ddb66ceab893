"""What deleted apps left behind: shown first, deleted when told and old enough, never on an empty or failed list of apps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from funai.api.admin.orphans import OrphanSweep, SweepRules
from funai.api.settings import OrphanMode
from funai.base.clients.deploy import DeployClient
from funai.contracts.apps.databases import FindOrphans, Orphans
from funai.contracts.errors import CalleeFailed
from tests.parts.harbor import PASSWORD, ScriptedHarbor
from tests.service.api.platform import Person, Platform

REPO, IMAGES = "funai/u1-app99", "funaistudio/u1-app99"


class Moved:
    """The wall clock, some hours later."""

    def __init__(self) -> None:
        self.hours = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.hours)

    def monotonic(self) -> float:
        return 0.0


@dataclass
class World:
    platform: Platform
    harbor: ScriptedHarbor
    root: Person
    clock: Moved

    def sweep(self, mode: OrphanMode) -> OrphanSweep:
        """As the settings make it, with hours that pass when the test says so."""
        core = self.platform.core
        rules = SweepRules(mode, every_hours=24, grace_hours=48)
        return OrphanSweep(core.db, self.clock, core.repos, core.control, rules)

    async def ask(self, **params: Any) -> dict[str, dict[str, Any]]:
        """The rows by their place."""
        return {row["node"]: row for row in await self.root.call("POST", "/admin/orphans", params=params)}

    @property
    def there(self) -> tuple[bool, bool]:
        """Whether the orphaned repository and images are still there."""
        return REPO in self.platform.repos.made, IMAGES in self.harbor.artifacts


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An app with a repository and images, beside those of app 99, which is no more."""
    harbor = ScriptedHarbor()
    harbor.projects["funaistudio"] = {}
    async with harbor.served() as address:
        cleanup = {
            "cleanup_enabled": True,
            "cleanup_kind": "harbor",
            "cleanup_registry": address,
            "cleanup_insecure": True,
            "cleanup_username": "robot$cleanup",
            "cleanup_password": SecretStr(PASSWORD),
        }
        async with Platform(tmp_path, deploy=cleanup).running() as platform:
            root, clock = await platform.admin(), Moved()
            platform.core.orphans.clock = clock
            app_id = await root.app("shop")
            platform.repos.made |= {REPO, "funai/handbook"}
            for name in (IMAGES, f"funaistudio/u{root.id}-app{app_id}", "funaistudio/base-node"):
                harbor.artifacts[name] = {"sha256:a": {"digest": "sha256:a"}}
            yield World(platform, harbor, root, clock)
    assert harbor.transport.faults == []


async def test_orphans_are_shown_first_and_only_what_the_platform_names_is_one(world: World) -> None:
    found = await world.ask()
    assert found["git"]["repositories"] == found["git"]["waiting"] == [REPO]
    assert found["registry"]["images"] == found["registry"]["waiting"] == [IMAGES]
    assert world.there == (True, True)


async def test_orphans_are_deleted_when_told_and_after_the_grace(world: World) -> None:
    await world.ask(delete="true")
    assert world.there == (True, True), "seen for the first time: within the grace"
    world.clock.hours = 25
    await world.ask()
    assert world.there == (True, True), "not told to delete"
    found = await world.ask(delete="true")
    assert (found["git"]["deleted"], found["registry"]["deleted"]) == ([REPO], [IMAGES])
    assert world.there == (False, False)
    assert "funai/handbook" in world.platform.repos.made
    assert len(world.harbor.artifacts) == 2
    assert set(await world.ask()) == {"n1"}


async def test_app_made_while_nodes_are_looked_at_is_among_those_that_exist(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[FindOrphans] = []
    made: list[int] = []

    async def orphans(_self: DeployClient, wanted: FindOrphans) -> list[Orphans]:
        asked.append(wanted)
        if not made:
            made.append(await world.root.app("late"))
        late = f"mongo db_u1_a{made[0]}"
        return [Orphans(node="n1", databases=[late, "mongo db_u1_a99"], waiting=[late])]

    monkeypatch.setattr(DeployClient, "orphans", orphans)
    await world.ask(delete="true", graceHours=0)
    first, second = asked
    assert not first.delete and made[0] not in first.existing
    assert second.delete and made[0] in second.existing
    assert second.only == ["mongo db_u1_a99"]


async def test_orphan_whose_app_came_back_begins_its_grace_anew(world: World) -> None:
    await world.ask()
    world.platform.repos.made.discard(REPO)
    await world.ask()
    world.platform.repos.made.add(REPO)
    world.clock.hours = 25
    await world.ask(delete="true")
    assert world.there == (True, False)


async def test_place_that_is_away_says_so_and_keeps_its_grace(world: World) -> None:
    await world.ask()
    world.platform.repos.away, world.harbor.password = True, "changed"
    world.clock.hours = 25
    found = await world.ask(delete="true")
    assert found["git"]["failed"] and found["registry"]["failed"] and not found["git"]["deleted"]
    world.platform.repos.away, world.harbor.password = False, PASSWORD
    await world.ask(delete="true")
    assert world.there == (False, False), "what was seen before still counts"


async def test_sweep_reports_by_default_and_deletes_when_it_is_set_to(world: World) -> None:
    report, delete = world.sweep(OrphanMode.REPORT), world.sweep(OrphanMode.DELETE)
    await report.sweep()
    assert await _seen(world) == 0, "the first pause has only begun"
    for world.clock.hours in (25, 50, 75, 100):
        await report.sweep()
    assert (await _seen(world), world.there) == (2, (True, True))
    await delete.sweep()
    assert world.there == (True, True), "not twice within a pause"
    world.clock.hours = 125
    await delete.sweep()
    assert world.there == (False, False)


async def test_sweep_that_is_off_looks_for_nothing(world: World) -> None:
    off = world.sweep(OrphanMode.OFF)
    for world.clock.hours in (1, 30, 60):
        await off.sweep()
    assert await _seen(world) == 0


async def test_sweep_deletes_nothing_on_an_empty_or_failed_list_of_apps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = world.sweep(OrphanMode.DELETE)
    for world.clock.hours in (0, 25):
        await sweep.sweep()
    await world.root.call("POST", "/app/delete", params={"appId": 1})
    world.clock.hours = 125
    await sweep.sweep()
    assert world.there == (True, True), "an empty list is what a failed question looks like"

    async def failing(*_: Any) -> Any:
        raise CalleeFailed(service="database", detail="away")

    monkeypatch.setattr(sweep.db, "fetch_all", failing)
    world.clock.hours = 250
    with pytest.raises(CalleeFailed):
        await sweep.sweep()
    assert world.there == (True, True)


async def _seen(world: World) -> int:
    async with world.platform.core.db.read() as conn:
        return int((await conn.exec_driver_sql("SELECT count(*) FROM funai_orphan")).scalar_one())
