"""What an operator's Prometheus reads from an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.parts.waiting import eventually
from tests.service.agent.agent import EXITS, WEB2, World, world


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as w:
        yield w


async def value(here: World, name: str, **labels: str) -> float | None:
    text = (await here.http.get("/metrics")).text
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return next((s.value for s in samples if s.name == name and s.labels == labels), None)


async def test_rollouts_are_counted_by_outcome_and_reason_from_zero(here: World) -> None:
    name = "funai_agent_rollouts_total"
    assert await value(here, name, outcome="failed", reason="APP_EXITED") == 0
    await here.deploy(5)
    await here.deploy(6, WEB2)
    await here.deploy(7, EXITS)
    await here.deploy(1)
    assert await value(here, name, outcome="succeeded", reason="") == 2
    assert await value(here, name, outcome="failed", reason="APP_EXITED") == 1
    assert await value(here, name, outcome="refused", reason="STALE_GENERATION") == 1
    assert await value(here, "funai_agent_rollout_step_seconds_count", step="switch") == 2
    assert await value(here, "funai_agent_rollout_step_seconds_count", step="start") == 3
    assert await value(here, "funai_agent_rollout_seconds_count", outcome="failed") == 1


async def test_drains_and_switches(here: World) -> None:
    await here.deploy(5)
    await here.deploy(6, WEB2)

    async def drained() -> bool:
        return await value(here, "funai_agent_drain_seconds_count", outcome="drained") == 1 or (
            await value(here, "funai_agent_drain_seconds_count", outcome="timed_out") == 1
        )

    await eventually(drained, what="the first one is drained")
    assert await value(here, "funai_agent_gateway_switches_total", outcome="done") == 3
    here.table.away = True
    await here.post("stop")
    failed = await value(here, "funai_agent_gateway_switches_total", outcome="failed")
    assert failed
    assert failed >= 1


async def test_containers_by_state_and_crash_loops(here: World) -> None:
    await here.deploy(5)
    await here.parts.reconciler.sweep()
    assert await value(here, "funai_agent_containers", role="live", state="running") == 1
    assert await value(here, "funai_agent_containers", role="stopped", state="exited") == 0
    for _ in range(3):
        (live,) = await here.engine.containers({})
        await here.engine.crash(live.id)
        await here.parts.reconciler.sweep()
        await here.engine.start(live.id)
        await here.parts.reconciler.sweep()
    assert await value(here, "funai_agent_app_ends_total") == 3
    assert await value(here, "funai_agent_crash_loops_total") == 1
    assert await value(here, "funai_agent_crash_looping_apps") == 1


async def test_no_series_names_an_app(here: World) -> None:
    await here.deploy(5)
    text = (await here.http.get("/metrics")).text
    labels = {
        k for f in text_string_to_metric_families(text) if f.name.startswith("funai_agent") for s in f.samples for k in s.labels
    }
    assert labels <= {"outcome", "reason", "step", "role", "state", "le"}
