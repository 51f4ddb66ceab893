"""Containers removed by another hand, and calls that come too late: what the journal is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.agent.reconcile.journal import Journal
from funai.contracts.routes import RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import WEB, WEB2, World, world


async def remove_all(here: World) -> None:
    for box in await here.engine.containers({}):
        await here.engine.remove(box.id)


async def serves(here: World, generation: int) -> None:
    async def again() -> bool:
        routed = here.table.generation(7) == generation and here.table.state(7) is RouteState.SERVING
        return routed and (await here.status())["generation"] == generation

    await here.parts.reconciler.sweep()
    await eventually(again, what="it is served again, and its status says so")


async def test_a_container_removed_by_hand_comes_back_with_its_release_and_variables(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5, env={"TOKEN": "s3cret-value"})
        await remove_all(here)
        await here.engine.remove_network("rt-net-7")
        await serves(here, 5)
        assert here.engine.env_of("rt-u-1-7") == {"TOKEN": "s3cret-value"}
    kept = [p.read_text() for p in (tmp_path / "default").iterdir()]
    assert len(kept) == 2
    assert not any("s3cret-value" in text for text in kept)


async def test_the_next_life_of_the_agent_brings_it_back_too(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        await here.deploy(6, WEB2)
        await here.parts.drainer.close()
        await remove_all(here)
        async with world(here.engine, state_dir=str(tmp_path)) as later:
            await serves(later, 6)
            assert (await later.status())["image"] == WEB2


async def test_images_that_are_gone_are_pulled_again(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        await remove_all(here)
        here.engine.registry[WEB] = here.engine.local.pop(WEB)
        await serves(here, 5)


async def test_what_was_stopped_or_deleted_stays_away(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        await here.post("stop")
        await remove_all(here)
        await here.parts.reconciler.sweep()
        assert await here.names() == []
        started = await here.post("start")
        assert started.status_code == 200, started.text
        assert await here.names() == ["rt-u-1-7"]
        await here.post("delete")
        await here.parts.reconciler.sweep()
        assert (await here.post("start")).json()["reason"] == "RELEASE_NOT_KEPT"
        assert await here.names() == []


async def test_an_app_that_can_not_be_brought_back_is_told_in_the_heartbeat(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        await remove_all(here)
        del here.engine.local[WEB]
        await here.parts.reconciler.sweep()
        await eventually(lambda: here.parts.restorer.failing == [7], what="it is told")


async def test_a_stopped_container_that_the_engine_can_not_start_is_made_again(tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        await here.post("stop")
        (stopped,) = await here.engine.containers({})
        here.engine.broken.add(stopped.id)
        started = await here.post("start")
        assert started.status_code == 200, started.text
        assert here.table.generation(7) == 5


@pytest.mark.parametrize("verb", ["stop", "delete"])
async def test_a_stop_or_delete_decided_before_the_latest_deploy_is_refused(verb: str) -> None:
    async with world() as here:
        await here.deploy(6)
        late = await here.post(verb, generation=5)
        assert (late.status_code, late.json()["reason"]) == (409, "STALE_GENERATION")
        assert here.table.generation(7) == 6
        assert (await here.post(verb, generation=6)).status_code == 200


@pytest.mark.parametrize("verb", ["stop", "delete"])
async def test_a_deploy_that_a_stop_or_delete_came_after_is_refused(verb: str, tmp_path: Path) -> None:
    async with world(state_dir=str(tmp_path)) as here:
        await here.deploy(5)
        assert (await here.post(verb, generation=8)).status_code == 200
        for late in (7, 8):
            assert (await here.deploy(late)).json()["reason"] == "STALE_GENERATION"
        async with world(here.engine, here.table, state_dir=str(tmp_path)) as later:
            assert (await later.deploy(8)).status_code == 409, "the next life knows it too"
            assert (await later.deploy(9)).status_code == 200


async def test_a_journal_file_that_can_not_be_read_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "app-7.json").write_text("{half")
    journal = Journal(tmp_path)
    journal.load()
    assert not journal.knows(7)
    assert journal.release(7) is None
