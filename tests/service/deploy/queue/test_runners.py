"""Which runners called lately."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select, update

from funai.deploy.queue import runners
from funai.deploy.queue.runners import RunnerRegistry
from funai.deploy.tables import runner
from tests.service.deploy.plane import Plane, commits


@pytest.fixture
def registry(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> RunnerRegistry:
    made = RunnerRegistry(plane.db, plane.db.now_ms(), stale_seconds=90)
    made._every = 0  # pyright: ignore[reportPrivateUsage] # every call counts, as if the last one were long ago
    return made


async def known(plane: Plane) -> dict[str, tuple[int, list[str]]]:
    rows = await plane.db.fetch_all(select(runner))
    return {row["runner_id"]: (row["last_seen_ms"], json.loads(row["labels_json"])) for row in rows}


async def long_ago(plane: Plane) -> None:
    """What was written until now is an old word."""
    async with plane.db.write() as conn:
        await conn.execute(update(runner).values(last_seen_ms=1))


async def test_a_new_runner_is_known_at_once_and_old_ones_are_written_together(plane: Plane, registry: RunnerRegistry) -> None:
    for n in range(30):
        await registry.seen(f"r{n}", ["arm"] if n % 2 else None)
    await long_ago(plane)
    before = await known(plane)
    assert [before[f"r{n}"][1] for n in range(2)] == [[], ["arm"]]
    with commits(plane.db) as seen:
        for n in range(29):
            await registry.seen(f"r{n}")
        assert not seen
        await registry.write()
        await registry.write()
    assert len(seen) == 1
    after = await known(plane)
    assert {name: labels for name, (_, labels) in after.items()} == {name: labels for name, (_, labels) in before.items()}
    assert all(after[f"r{n}"][0] > before[f"r{n}"][0] for n in range(29))
    assert after["r29"] == before["r29"]


async def test_other_labels_are_written_at_once(plane: Plane, registry: RunnerRegistry) -> None:
    await registry.seen("r", ["arm"])
    await registry.seen("r", ["amd"])
    assert (await known(plane))["r"][1] == ["amd"]


async def test_what_could_not_be_written_is_written_later(
    plane: Plane, registry: RunnerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await registry.seen("r")
    await long_ago(plane)
    before = (await known(plane))["r"][0]
    await registry.seen("r")

    def gone() -> object:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(plane.db, "write", gone)
        with pytest.raises(ConnectionError):
            await registry.write()
    await registry.write()
    assert (await known(plane))["r"][0] > before


async def test_who_was_forgotten_is_new_again(plane: Plane, registry: RunnerRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    await registry.seen("r")
    monkeypatch.setattr(runners, "KEPT_MS", -10_000)
    monkeypatch.setattr(runners, "FORGET_SECONDS", 0)
    await registry.forget()
    assert await known(plane) == {}
    await registry.seen("r")
    assert list(await known(plane)) == ["r"]


async def test_a_runner_whose_first_call_met_a_database_that_was_away_is_known_after_the_next(
    plane: Plane, registry: RunnerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> object:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(plane.db, "write", gone)
        with pytest.raises(ConnectionError):
            await registry.seen("r", ["arm"])
    await registry.seen("r", ["arm"])
    await registry.write()
    assert (await known(plane))["r"][1] == ["arm"]


async def test_other_labels_are_not_written_over_by_what_waited_to_be_written(plane: Plane, registry: RunnerRegistry) -> None:
    await registry.seen("r", ["arm"])
    await registry.seen("r", ["arm"])
    await registry.seen("r", ["amd"])
    await registry.write()
    assert (await known(plane))["r"][1] == ["amd"]
