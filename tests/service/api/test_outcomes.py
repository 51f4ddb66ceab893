"""How the API learns what became of deploys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.parts.waiting import eventually
from tests.service.api.platform import SECRET, Platform


async def test_the_sweep_learns_outcomes_by_itself(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    await platform.finish()

    async def status() -> Any:
        return (await platform.core.apps.find(app_id)).status == 3

    await eventually(status, seconds=5)


async def test_events_tell_outcomes_without_the_sweep(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing() -> None:
        return

    monkeypatch.setattr(platform.core.tracker, "sweep", nothing)
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    await platform.finish()

    async def ready() -> bool:
        return (await platform.core.apps.find(app_id)).status == 3

    await eventually(ready, seconds=5)


async def test_an_app_that_cant_be_looked_at_hides_no_other(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, tracker = await platform.person("ada"), platform.core.tracker
    stuck, app_id = await ada.app(), await ada.app()
    look = tracker.look

    async def look_unless_stuck(row: Any) -> None:
        if row.id == stuck:
            raise RuntimeError("its row can't be written")
        await look(row)

    monkeypatch.setattr(tracker, "look", look_unless_stuck)
    for app in (stuck, app_id):
        await ada.deploy(app)
        await platform.finish()

    async def ready() -> bool:
        return (await platform.core.apps.find(app_id)).status == 3

    await eventually(ready, seconds=5)


async def test_outcomes_are_learned_after_a_restart(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    again = platform.make_api(platform.wire)
    await platform.finish()
    async with again.router.lifespan_context(again):

        async def ready() -> bool:
            return (await again.state.core.apps.find(app_id)).status == 3

        await eventually(ready, seconds=5)


async def test_many_who_learn_of_a_cancel_stop_the_app_once(platform: Platform) -> None:
    """A stop that comes late would take the app's next deploy off line."""
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    job_id = (await platform.claim())["id"]
    await platform.inside.post(f"/deploy/jobs/{job_id}/cancel", headers={"X-DEPLOY-SECRET": SECRET})
    await asyncio.gather(*(ada.call("GET", "/deploy/job/info", params={"jobId": job_id}) for _ in range(8)))
    assert platform.node.calls.count(("stop", str(app_id))) == 1
    assert await ada.status(app_id) == 0
