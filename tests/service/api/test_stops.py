"""A stop that nobody lives to see the end of is ended all the same, and what Deploy knows of a stop the API learns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from funai.api.deploys import tracker
from tests.parts.waiting import eventually
from tests.service.api.platform import SECRET, Person, Platform


async def killed_in_a_stop(platform: Platform, person: Person, app_id: int) -> None:
    """The API's process is gone before its request reached Deploy."""
    platform.wire.only, platform.wire.held = "/deploy/apps/stop", asyncio.Event()
    platform.wire.asked.clear()
    stop = asyncio.create_task(platform.core.deploys.stop(person.id, app_id))

    await eventually(lambda: "/deploy/apps/stop" in platform.wire.asked, seconds=5)
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    platform.wire.held = None
    platform.wire.only = ""


async def cut_short(platform: Platform) -> tuple[Person, int]:
    """Somebody whose app's stop was cut short."""
    person = await platform.person("ada")
    app_id = await platform.ready(person)
    await killed_in_a_stop(platform, person, app_id)
    return person, app_id


async def status(platform: Platform, app_id: int) -> Any:
    row = await platform.core.apps.find(app_id)
    return row.status, row.slot, row.serving, row.op


async def test_the_next_life_ends_it(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "STOP_GRACE_MS", -1)
    _ada, app_id = await cut_short(platform)
    assert await status(platform, app_id) == (3, 1, 1, "stop")
    again = platform.make_api(platform.wire)
    async with again.router.lifespan_context(again):

        async def off_line() -> bool:
            return await status(platform, app_id) == (1, 0, 0, None)

        await eventually(off_line, seconds=5)
    assert str(app_id) not in platform.node.running


async def test_a_stop_in_hand_is_left_alone(platform: Platform) -> None:
    _ada, app_id = await cut_short(platform)
    await platform.core.tracker.finish_stops()
    assert (await status(platform, app_id))[0] == 3


async def test_a_node_that_is_away_is_tried_again_and_at_last_given_up(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "STOP_GRACE_MS", -1)
    _ada, app_id = await cut_short(platform)
    platform.wire.only, platform.wire.cut = "/deploy/apps/stop", 2
    await platform.core.tracker.finish_stops()
    assert await status(platform, app_id) == (3, 1, 1, "stop")
    monkeypatch.setattr(tracker, "STOP_TRIES_MS", -1)
    await platform.core.tracker.finish_stops()
    assert await status(platform, app_id) == (3, 1, 1, None)


async def test_a_deploy_overrules_it(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "STOP_GRACE_MS", -1)
    ada, app_id = await cut_short(platform)
    await ada.deploy(app_id)
    await platform.core.tracker.finish_stops()
    await platform.finish()
    assert await ada.status(app_id) == 3
    assert str(app_id) in platform.node.running


async def test_a_start_after_it_starts(platform: Platform) -> None:
    """READY is what the API still says; the container may be off."""
    ada, app_id = await cut_short(platform)
    platform.node.running.clear()
    await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
    assert await status(platform, app_id) == (3, 1, 1, None)
    assert str(app_id) in platform.node.running


async def test_a_refused_stop_is_over(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    platform.node.broken.add("stop")
    assert (await ada.refused("POST", "/deploy/app/stop", params={"appId": app_id})).startswith("502 ")
    assert await status(platform, app_id) == (3, 1, 1, None)


async def test_what_was_stopped_at_deploy_is_stopped_here(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    body = {"userId": ada.id, "appId": app_id}
    done = await platform.inside.post("/deploy/apps/stop", json=body, headers={"X-DEPLOY-SECRET": SECRET})
    assert done.status_code == 200
    await platform.core.overviews.sweep()
    assert await status(platform, app_id) == (1, 0, 0, None)
    await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
    await platform.core.overviews.sweep()
    assert (await status(platform, app_id))[0] == 3


async def test_an_app_that_was_started_while_others_were_stopped_goes_on(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "STOP_GRACE_MS", -1)
    ada = await platform.person("ada")
    first, second = [await platform.ready(ada) for _ in range(2)]
    for app_id in (first, second):
        await killed_in_a_stop(platform, ada, app_id)
    platform.wire.only, platform.wire.held = "/deploy/apps/stop", asyncio.Event()
    platform.wire.asked.clear()
    sweep = asyncio.create_task(platform.core.tracker.finish_stops())

    await eventually(lambda: "/deploy/apps/stop" in platform.wire.asked, seconds=5)
    held, platform.wire.held = platform.wire.held, None
    await ada.call("POST", "/deploy/app/start", params={"appId": second})
    held.set()
    await sweep
    assert await status(platform, first) == (1, 0, 0, None)
    assert await status(platform, second) == (3, 1, 1, None)
    assert str(second) in platform.node.running


async def test_a_late_answer_to_a_stop_says_nothing_of_an_app_that_was_started_since(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "STOP_GRACE_MS", -1)
    ada, app_id = await cut_short(platform)
    stopped = platform.core.deploys.slots.stopped

    async def late(*args: Any, **kw: Any) -> None:
        monkeypatch.setattr(platform.core.deploys.slots, "stopped", stopped)
        await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
        await stopped(*args, **kw)

    monkeypatch.setattr(platform.core.deploys.slots, "stopped", late)
    await platform.core.tracker.finish_stops()
    assert await status(platform, app_id) == (3, 1, 1, None)
    assert str(app_id) in platform.node.running
