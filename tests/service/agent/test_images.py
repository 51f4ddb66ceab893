"""A node's images: which go with an app, a stop, a deploy and a full disk, and which stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.agent.engine.dummy import DummyEngine, Script
from funai.agent.images import kept
from funai.contracts.routes import RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import world


async def test_app_is_deleted_though_the_engine_keeps_its_image() -> None:
    engine = DummyEngine(local={"localhost/web:1": Script()})
    engine.faults.refuse["remove_image"] = "tag not known"
    async with world(engine, cleanup_images_on_stop=True) as w:
        await w.deploy(5)
        answer = await w.post("delete")
        assert (answer.status_code, answer.json()["images"]) == (200, []), answer.text
        assert await w.names() == []
    await engine.close()


async def test_images_go_by_policy() -> None:
    async with world(cleanup_images_on_stop=True) as w:
        await w.deploy(5)
        assert (await w.post("delete")).json()["images"] == ["localhost/web:1"]


async def test_a_deleted_apps_own_images_go_and_shared_ones_stay() -> None:
    own, shared = "reg.test/ns/u1-app7:1", "reg.test/library/web:1"
    engine = DummyEngine(local={own: Script(), shared: Script(), "reg.test/ns/u1-app8:1": Script()})
    async with world(engine) as here:
        await here.deploy(5, shared)
        await here.deploy(6, own)
        await here.post("deploy", appId=8, image=shared)
        await here.post("stop")
        assert own in engine.local
        assert (await here.post("delete")).json()["images"] == [own]
        assert set(engine.local) == {shared, "reg.test/ns/u1-app8:1"}
        assert (await here.post("delete", appId=8)).json()["images"] == [shared, "reg.test/ns/u1-app8:1"]
    await engine.close()


async def test_images_are_kept_by_policy() -> None:
    engine = DummyEngine(local={"reg.test/ns/u1-app7:1": Script()})
    async with world(engine, images_on_delete="keep") as here:
        await here.deploy(5, "reg.test/ns/u1-app7:1")
        assert (await here.post("delete")).json()["images"] == []
        assert set(engine.local) == {"reg.test/ns/u1-app7:1"}
    await engine.close()


async def test_stop_that_cleans_up_images_frees_them_and_a_start_pulls_again(tmp_path: Path) -> None:
    ref = f"registry.local/funai/u1-app7@sha256:{'a' * 64}"
    engine = DummyEngine(registry={ref: Script()})
    async with world(engine, cleanup_images_on_stop=True, registry_url="registry.local", state_dir=str(tmp_path)) as w:
        await w.deploy(5, ref)
        assert (await w.post("stop")).status_code == 200
        assert (await w.names(), list(engine.local)) == ([], [])
        started = await w.post("start")
        assert (started.status_code, started.json()["generation"]) == (200, 5), started.text
        assert w.table.state(7) is RouteState.SERVING
    await engine.close()


async def test_images_of_earlier_releases_go_after_a_deploy_and_the_kept_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "AFTER_SECONDS", 0)
    refs = [f"reg.test/ns/u1-app7@sha256:{n:064}" for n in range(5)]
    engine = DummyEngine(local={ref: Script() for ref in refs})
    async with world(engine, keep_images=2) as here:
        await here.deploy(5, refs[3])
        await eventually(lambda: set(engine.local) == {refs[3], refs[4]}, what="the newest one stays beside the one that runs")
        text = (await here.http.get("/metrics")).text
        assert 'funai_agent_images_removed_total{reason="superseded"} 3.0' in text
    await engine.close()


async def test_images_not_in_use_go_when_the_disk_is_short() -> None:
    refs = [f"reg.test/ns/u1-app7@sha256:{n:064}" for n in range(3)]
    engine = DummyEngine(local={ref: Script() for ref in refs})
    async with world(engine, images_free_pct=100) as here:
        await here.deploy(5, refs[0])
        assert here.parts.rollouts.kept is not None
        await here.parts.rollouts.kept.sweep()
        assert set(engine.local) == {refs[0]}
    await engine.close()
