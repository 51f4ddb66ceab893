"""What ``workload.contract`` promises, of each driver; today of containers, on the dummy engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funai.agent.workload.contract import Generation, Gone, Instance, Phase, ReleaseUnusable, Role, Workloads
from funai.contracts.agent import AgentDeploy
from tests.service.agent.agent import EXITS, NOBODY, WEB, world


@pytest.fixture
async def workloads() -> AsyncIterator[Workloads]:
    async with world() as w:
        yield w.parts.node.workloads


def generation(number: int, image: str = WEB) -> Generation:
    asked = AgentDeploy(user_id="1", app_id="7", image=image, container_port=3000, generation=number)
    return Generation(asked, number, image, "sha256:d", 3000)


async def applied(workloads: Workloads, number: int, image: str = WEB) -> Instance:
    return await workloads.apply(await workloads.look(7), generation(number, image))


async def roles(workloads: Workloads) -> list[tuple[Role, int]]:
    return [(found.role, found.generation) for found in (await workloads.look(7)).all]


async def test_apply_of_a_generation_is_a_running_candidate_that_says_what_it_is(workloads: Workloads) -> None:
    new = await applied(workloads, 5)
    assert (new.app_id, new.user_id, new.generation, new.role, new.phase) == (7, 1, 5, Role.CANDIDATE, Phase.RUNNING)
    assert (new.image, new.digest, new.port, new.asked_port) == (WEB, "sha256:d", 3000, 3000)
    assert new.endpoint
    assert set(await workloads.everything()) == {7}


async def test_apply_removes_the_candidates_before_it_and_nothing_else(workloads: Workloads) -> None:
    await workloads.commit(await applied(workloads, 5))
    await applied(workloads, 6)
    await applied(workloads, 7)
    assert await roles(workloads) == [(Role.LIVE, 5), (Role.CANDIDATE, 7)]


async def test_commit_done_twice_retires_what_was_live(workloads: Workloads) -> None:
    old = await applied(workloads, 5)
    await workloads.commit(old)
    new = await applied(workloads, 6)
    for _ in range(2):
        await workloads.commit(new, old)
        assert await roles(workloads) == [(Role.LIVE, 6), (Role.RETIRED, 5)]
    assert (await workloads.again(new)).name == workloads.name(1, 7)


async def test_commit_over_one_that_is_gone_succeeds(workloads: Workloads) -> None:
    old = await applied(workloads, 5)
    await workloads.commit(old)
    new = await applied(workloads, 6)
    await workloads.remove(old)
    await workloads.commit(new, old)
    assert await roles(workloads) == [(Role.LIVE, 6)]


async def test_set_aside_stop_start_and_commit_may_each_be_repeated(workloads: Workloads) -> None:
    app = await applied(workloads, 5)
    await workloads.commit(app)
    for _ in range(2):
        await workloads.set_aside(app)
    for _ in range(2):
        await workloads.stop(app, 0)
    stopped = await workloads.again(app)
    assert (stopped.role, stopped.up, stopped.endpoint) == (Role.STOPPED, False, None)
    for _ in range(2):
        await workloads.start(stopped)
    await workloads.commit(stopped)
    assert ((await workloads.again(app)).role, (await workloads.again(app)).running) == (Role.LIVE, True)


async def test_next_end_answers_the_exit_code_and_logs_what_was_said(workloads: Workloads) -> None:
    app = await applied(workloads, 5, EXITS)
    assert [await workloads.next_end(app), await workloads.next_end(app)] == [3, 3]
    assert b"".join([piece async for piece in workloads.logs(app, tail=1, follow=False)]) == b"two\n"


async def test_every_call_on_one_that_is_gone_says_so(workloads: Workloads) -> None:
    app = await applied(workloads, 5)
    for _ in range(2):
        await workloads.remove(app)
        await workloads.forget(7)
    calls = (workloads.again, workloads.next_end, workloads.commit, workloads.set_aside, workloads.start)
    for call in calls:
        with pytest.raises(Gone):
            await call(app)
    assert await roles(workloads) == []


async def test_apply_of_an_unusable_image_says_so_and_leaves_at_most_a_candidate(workloads: Workloads) -> None:
    with pytest.raises(ReleaseUnusable):
        await applied(workloads, 5, NOBODY)
    assert {role for role, _ in await roles(workloads)} <= {Role.CANDIDATE}
