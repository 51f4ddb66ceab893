"""Moves of running apps, from the operator's call to the old node's order to remove, in real databases."""

from __future__ import annotations

import pytest

from funai.contracts import naming
from funai.contracts.apps.moves import DrainState, MoveState
from funai.contracts.errors import Conflict
from funai.contracts.nodes import Removal
from funai.contracts.states import JobStatus
from funai.deploy.releases import runs
from tests.service.deploy.moves.fleet import DIGEST, Fleet


async def test_reassign_starts_the_live_release_on_the_target_and_switches_when_it_serves(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    assert await fleet.live(1, env={"SECRET": "s3cret"}, health_path="/up") == "a"
    b = (await fleet.beat("b", 50)).node_id

    placed = await fleet.reassign(1, b)
    assert placed.node_id == a
    assert placed.move is not None
    assert (placed.move.state, placed.move.target_node_id) == (MoveState.MOVING, b)
    job = await fleet.claim()
    assert job.runtime_node is not None
    assert (job.id, job.runtime_node.name) == (placed.move.job_id, "b")
    told = {k: job.payload[k] for k in ("image", "moveOf", "release", "env", "secretEnv", "userId")}
    image = f"registry.local/x/y@{DIGEST}"
    assert told == {
        "image": image,
        "moveOf": 1,
        "release": 1,
        "env": {"SECRET": "s3cret"},
        "secretEnv": ["SECRET"],
        "userId": 1,
    }
    assert await fleet.homes() == {1: a}

    await fleet.succeed(job)
    assert await fleet.homes() == {1: b}
    assert await fleet.releases(1) == [1]
    assert (await fleet.beat("a")).stale_placements == []
    await fleet.round()
    assert (await fleet.beat("a")).stale_placements == []
    await fleet.drained()
    await fleet.round()
    answer = await fleet.beat("a")
    assert answer.stale_placements == [1]
    assert answer.removals == [Removal(app_id=1, generation=naming.generation(job.id, 1))]
    assert (await fleet.beat("b")).stale_placements == []


async def test_a_move_that_fails_leaves_the_app_where_it_was_and_its_target_removes_it(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    b = (await fleet.beat("b", 50)).node_id
    report = await fleet.drain(a)
    assert (report.moving, report.moved, report.remaining) == ([1], [], 1)
    await fleet.round()
    job = await fleet.claim()
    await fleet.fail(job)
    await fleet.round()
    progress = await fleet.progress(report.drain_id)
    assert (progress.state, progress.failed, progress.moves[0].reason) == (DrainState.DONE, 1, "APP_UNHEALTHY")
    assert await fleet.homes() == {1: a}
    assert await fleet.left() == [(1, b, 1, naming.generation(job.id, 1))]
    assert (await fleet.beat("b")).stale_placements == [1]
    await fleet.deploy.create(1)
    assert (again := await fleet.claim()).runtime_node is not None
    assert again.runtime_node.name == "a"


async def test_a_drain_moves_a_few_at_a_time_goes_on_and_ends(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    for app in range(1, 6):
        await fleet.live(app)
    await fleet.beat("b", 60)
    await fleet.beat("c", 60)
    await fleet.core.nodes.set_enabled("a", False)
    report = await fleet.drain(a)
    assert report.moving == [1, 2, 3, 4, 5]
    assert (await fleet.drain(a)).drain_id == report.drain_id
    for left in (3, 1, 0):
        await fleet.round()
        progress = await fleet.progress(report.drain_id)
        assert (progress.moving, progress.waiting) == (min(2, 5 - progress.moved), left)
        for _ in range(progress.moving):
            await fleet.succeed(await fleet.claim())
    await fleet.round()
    progress = await fleet.progress(report.drain_id)
    assert (progress.state, progress.moved, progress.total) == (DrainState.DONE, 5, 5)
    assert a not in (await fleet.homes()).values()
    shown = {n.name: n for n in await fleet.core.nodes.list()}
    assert shown["a"].drain is not None
    assert (shown["a"].placements, shown["a"].drain.state) == (0, DrainState.DONE)
    assert abs((shown["b"].placements or 0) - (shown["c"].placements or 0)) <= 1


async def test_a_cancelled_drain_begins_no_more_moves(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    for app in range(1, 5):
        await fleet.live(app)
    b = (await fleet.beat("b", 60)).node_id
    report = await fleet.drain(a, target_node_id=b)
    await fleet.round()
    assert report.drain_id is not None
    cancelled = await fleet.core.moves.cancel(report.drain_id)
    assert (cancelled.state, cancelled.cancelled, cancelled.moving) == (DrainState.CANCELLED, 2, 2)
    for _ in range(2):
        await fleet.succeed(await fleet.claim())
    await fleet.round()
    assert await fleet.nothing_to_claim()
    progress = await fleet.progress(report.drain_id)
    assert (progress.moved, progress.cancelled, progress.state) == (2, 2, DrainState.CANCELLED)
    assert sorted((await fleet.homes()).values()) == [a, a, b, b]


async def test_a_target_that_is_lost_before_the_claim_ends_the_move_at_once(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    b = (await fleet.beat("b", 60)).node_id
    placed = await fleet.reassign(1, b)
    await fleet.core.nodes.set_enabled("b", False)
    assert await fleet.nothing_to_claim()
    assert placed.move is not None
    assert placed.move.job_id is not None
    ended = await fleet.deploy.api.job(placed.move.job_id)
    assert (ended.status, ended.reason) == (JobStatus.FAILED, "NO_NODE")
    await fleet.round()
    assert await fleet.homes() == {1: a}
    assert await fleet.left() == []
    assert await fleet.deploy.create(1)


async def test_a_waiting_deploy_becomes_the_move(fleet: Fleet) -> None:
    await fleet.beat("a", 90)
    await fleet.live(1)
    await fleet.beat("a", 5)
    waits = await fleet.deploy.create(1)
    assert await fleet.nothing_to_claim()
    b = (await fleet.beat("b", 60)).node_id
    placed = await fleet.reassign(1, b)
    assert placed.move is not None
    assert placed.move.job_id == waits
    job = await fleet.claim()
    assert job.runtime_node is not None
    assert (job.id, job.runtime_node.id) == (waits, b)
    await fleet.succeed(job)
    assert await fleet.homes() == {1: b}
    assert await fleet.releases(1) == [2, 1]


async def test_an_owners_deploy_that_was_to_move_goes_home_when_the_target_is_lost(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    waits = await fleet.deploy.create(1)
    b = (await fleet.beat("b", 60)).node_id
    await fleet.reassign(1, b)
    await fleet.core.nodes.set_enabled("b", False)
    job = await fleet.claim()
    assert job.runtime_node is not None
    assert (job.id, job.runtime_node.id) == (waits, a)
    await fleet.succeed(job)
    await fleet.round()
    assert await fleet.homes() == {1: a}


async def test_what_does_not_run_is_only_placed_elsewhere(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    async with fleet.core.db.write() as conn:
        await runs.set_stopped(conn, 1, 5)
    b = (await fleet.beat("b", 60)).node_id
    placed = await fleet.reassign(1, b)
    assert (placed.node_id, placed.move) == (b, None)
    assert await fleet.nothing_to_claim()
    assert (1, a, 0, None) in await fleet.left()


async def test_an_app_in_a_runners_hand_is_not_reassigned_and_a_drain_waits_for_it(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    b = (await fleet.beat("b", 60)).node_id
    await fleet.deploy.create(1)
    running = await fleet.claim()
    with pytest.raises(Conflict) as busy:
        await fleet.reassign(1, b)
    assert busy.value.reason == "APP_DEPLOYING"
    report = await fleet.drain(a)
    await fleet.round()
    assert (await fleet.progress(report.drain_id)).waiting == 1
    await fleet.succeed(running)
    await fleet.round()
    await fleet.succeed(await fleet.claim())
    assert await fleet.homes() == {1: b}


async def test_a_stop_in_the_middle_of_a_move_ends_it_and_both_nodes_hear_of_it(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    a = (await fleet.beat("a", 90)).node_id
    await fleet.live(1)
    b = (await fleet.beat("b", 60)).node_id
    await fleet.reassign(1, b)
    job = await fleet.claim()
    await fleet.core.jobs.cancel_active(1, "api")
    at = await fleet.core.apps.agents.find(1)
    assert [n.id for n in at.all] == [a, b]
    assert await fleet.left() == [(1, b, 1, naming.generation(job.id, 1))]
