"""A deploy's story on the dummy engine: what ends well, what ends badly, and what is left after each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from funai.agent.engine.dummy import Script
from funai.contracts.routes import RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import BROKEN, EXITS, HUNGRY, NOBODY, SILENT, WEB, WEB2, World, world


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as w:
        yield w


async def test_a_first_deploy_serves(here: World) -> None:
    answer = await here.deploy(5)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["appId"] == "7"
    assert body["containerName"] == "rt-u-1-7"
    assert body["status"] == "DEPLOYED"
    assert body["previewUrl"] == "http://gw:8000/runtime/7/"
    assert body["verified"] is True
    assert here.table.generation(7) == 5
    assert [r.state for r in here.table.told] == [RouteState.STARTING, RouteState.SERVING]


async def test_a_second_replaces_it_and_the_first_is_gone(here: World) -> None:
    await here.deploy(5)
    assert (await here.deploy(6, WEB2)).status_code == 200
    assert here.table.generation(7) == 6

    async def one() -> bool:
        return await here.names() == ["rt-u-1-7"]

    await eventually(one, what="the old one is retired")
    assert (await here.status())["generation"] == 6


async def test_an_image_that_the_engine_has_under_its_id_is_not_pulled_first(here: World) -> None:
    ref, id = f"registry.local/u1-app7@sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    here.engine.local[id] = here.engine.registry[ref] = Script()
    answer = await here.deploy(5, ref, imageId=id)
    assert answer.json()["digest"] == f"sha256:{'a' * 64}"
    assert (await here.engine.containers({}))[0].image == id
    await eventually(lambda: ref in here.engine.local, what="the kept release has its name here, as after a pull")
    assert here.engine.calls.index("pull") > here.engine.calls.index("rename"), "nobody waited for it"


async def test_an_app_deleted_while_its_image_gets_its_name_leaves_none(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, id = f"registry.local/u1-app7@sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    here.engine.local[id] = here.engine.registry[ref] = Script()
    begun, go, pull = asyncio.Event(), asyncio.Event(), here.engine.pull

    async def slow(*asked: Any) -> Any:
        begun.set()
        await go.wait()
        return await pull(*asked)

    monkeypatch.setattr(here.engine, "pull", slow)
    await here.deploy(5, ref, imageId=id)
    await begun.wait()
    deleting = asyncio.create_task(here.post("delete"))
    await eventually(lambda: "remove" in here.engine.calls, what="its container is gone")
    go.set()
    assert (await deleting).json()["images"] == [ref]
    assert ref not in here.engine.local


async def test_an_id_counts_for_a_digest_only(here: World) -> None:
    id = f"sha256:{'b' * 64}"
    here.engine.local[id] = Script()
    assert (await here.deploy(5, "registry.local/u1-app7:latest", imageId=id)).json()["detail"]["code"] == "IMAGE_NOT_FOUND"
    assert (await here.deploy(5, WEB, imageId="b")).status_code == 400


async def test_without_a_generation_it_is_the_next(here: World) -> None:
    await here.deploy(5)
    assert (await here.deploy(None)).json()["generation"] == 6


@pytest.mark.parametrize(
    ("image", "code", "words"),
    [
        (EXITS, "APP_EXITED", "exit status 3"),
        (HUNGRY, "APP_OUT_OF_MEMORY", "512 MiB"),
        (SILENT, "APP_NOT_LISTENING", "port 3000 within 1 s"),
        (BROKEN, "APP_UNHEALTHY", "HTTP 503"),
        (NOBODY, "IMAGE_UNUSABLE", "the engine says: unable to find user nosuchuser: no matching entries in passwd file"),
        ("registry.invalid/x:1", "IMAGE_NOT_FOUND", "registry.invalid/x:1"),
    ],
)
async def test_an_apps_own_fault_is_422_and_the_old_one_is_untouched(here: World, image: str, code: str, words: str) -> None:
    await here.deploy(5)
    before = await here.engine.containers({})
    answer = await here.deploy(6, image)
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    assert detail["code"] == code
    assert words in detail["message"]
    assert await here.engine.containers({}) == before
    assert here.table.generation(7) == 5


async def test_the_last_lines_and_the_exit_code_come_along(here: World) -> None:
    detail = (await here.deploy(5, EXITS)).json()["detail"]
    assert (detail["exitCode"], detail["oomKilled"], detail["logTail"]) == (3, False, ["one", "two"])


async def test_a_first_deploy_that_fails_leaves_nothing(here: World) -> None:
    assert (await here.deploy(5, EXITS)).status_code == 422
    assert await here.names() == []
    assert here.table.routes == {}
    assert await here.engine.networks() == []


async def test_messages_are_chinese_by_default(here: World) -> None:
    answer = await here.http.post(
        "/agent/apps/deploy", json={"userId": 1, "appId": 7, "image": EXITS}, headers={"Accept-Language": "zh"}
    )
    assert "退出码 3" in answer.json()["detail"]["message"]


@pytest.mark.parametrize("away", [True, False])
async def test_a_gateway_that_does_not_switch_is_the_platforms_fault(here: World, away: bool) -> None:
    await here.deploy(5)
    here.table.away, here.table.stuck = away, not away
    answer = await here.deploy(6)
    assert answer.status_code == 502
    assert answer.json()["detail"]["code"] == "GATEWAY_FAILED"
    here.table.away = here.table.stuck = False
    await here.parts.reconciler.sweep()
    assert here.table.generation(7) == 5
    assert await here.names() == ["rt-u-1-7"]


async def test_a_page_that_is_slow_but_healthy_is_no_gateway_that_did_not_switch(here: World) -> None:
    here.table.slow = 4.5
    assert (await here.deploy(5)).status_code == 200


async def test_an_engine_that_refuses_says_why_and_what_was_asked(here: World) -> None:
    here.engine.faults.refuse["start"] = "cgroup: no such controller"
    answer = await here.deploy(5)
    assert answer.status_code == 502
    message = answer.json()["detail"]["message"]
    assert "no such controller" in message
    assert "RUNTIME_APP_MEMORY=" in message


async def test_an_engine_that_restarts_is_waited_for(here: World) -> None:
    here.engine.faults.down = True
    deploying = asyncio.create_task(here.deploy(5))
    await eventually(lambda: len(here.engine.calls) > 3, what="it tried several times")
    here.engine.faults.down = False
    assert (await deploying).status_code == 200


async def test_an_older_generation_is_refused(here: World) -> None:
    await here.deploy(5)
    answer = await here.deploy(4)
    assert (answer.status_code, answer.json()["reason"]) == (409, "STALE_GENERATION")


async def test_the_same_request_again_is_answered_without_a_new_container(here: World) -> None:
    await here.deploy(5)
    before = await here.engine.containers({})
    assert (await here.deploy(5)).status_code == 200
    assert await here.engine.containers({}) == before


async def test_one_app_never_has_two_rollouts_but_two_apps_may(here: World) -> None:
    slow = asyncio.create_task(here.deploy(5, SILENT))
    await eventually(lambda: here.parts.node.busy.rolling(7), what="the first is under way")
    refused = await here.deploy(6)
    assert (refused.status_code, refused.json()["reason"]) == (409, "DEPLOY_IN_PROGRESS")
    assert (await here.deploy(6, appId=8)).status_code == 200
    assert (await slow).status_code == 422


async def test_a_stop_ends_a_rollout_in_hand(here: World) -> None:
    slow = asyncio.create_task(here.deploy(5, SILENT, health={"timeoutSeconds": 60}))
    await eventually(lambda: here.engine.calls.count("next_exit"), what="it is being probed")
    assert (await here.post("stop")).status_code == 200
    assert (await slow).json()["reason"] == "ROLLOUT_INTERRUPTED"
    assert await here.names() == []


async def test_a_caller_that_hangs_up_wants_nothing_rolled_out(here: World) -> None:
    await here.deploy(5)
    with pytest.raises(httpx.ReadTimeout):
        await here.http.post(
            "/agent/apps/deploy",
            timeout=0.3,
            json={"userId": 1, "appId": 7, "generation": 6, "image": SILENT, "health": {"timeoutSeconds": 60}},
        )

    async def undone() -> bool:
        return not here.parts.node.busy.rolling(7) and await here.names() == ["rt-u-1-7"]

    await eventually(undone, what="the rollout is undone")
    assert here.table.generation(7) == 5


async def test_connections_in_flight_hold_the_old_one_up_to_the_bound(here: World) -> None:
    here.table.in_flight = 1
    await here.deploy(5)
    await here.deploy(6)
    assert "rt-u-1-7-g5-old" in await here.names()

    async def gone() -> bool:
        return "rt-u-1-7-g5-old" not in await here.names()

    await eventually(gone, what="the bound has passed")


async def test_a_foreign_base_path_is_refused(here: World) -> None:
    answer = await here.deploy(5, basePath="/elsewhere")
    assert (answer.status_code, answer.json()["reason"]) == (400, "BASE_PATH_UNSUPPORTED")
    assert (await here.deploy(5, basePath="/runtime/7")).status_code == 200


async def test_variables_reach_the_container_and_port_is_not_one(here: World) -> None:
    seen: dict[str, str] = {}
    create = here.engine.create

    async def watching(spec):
        seen.update(spec.env)
        return await create(spec)

    here.engine.create = watching  # type: ignore[method-assign]
    await here.deploy(5, env={"COLOUR": "red"})
    assert seen == {"COLOUR": "red"}


async def test_a_pulled_image_is_used(here: World) -> None:
    here.engine.registry["registry.test/a@sha256:" + "a" * 64] = Script()
    answer = await here.deploy(5, "registry.test/a@sha256:" + "a" * 64)
    assert answer.json()["digest"] == "sha256:" + "a" * 64
    await here.deploy(6, "registry.test/a@sha256:" + "a" * 64)
    assert here.engine.calls.count("pull") == 1


async def test_a_tag_that_can_not_be_refreshed_is_used_as_it_is(here: World) -> None:
    here.engine.local["registry.test/a:1"] = Script()
    assert (await here.deploy(5, "registry.test/a:1")).status_code == 200
    assert WEB in here.engine.local
