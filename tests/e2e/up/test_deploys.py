"""From a click to a running app, and what a bad one gets, on the real thing."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from funai.contracts.accounts import CreateDeploy
from funai.contracts.errors import Conflict, Forbidden, FunaiError, NotFound
from funai.contracts.states import AppStatus, JobStatus
from tests.e2e.up.world import DOCKERFILE, SERVER, Person, Platform, project
from tests.parts.extent import extent, only_in_full
from tests.parts.waiting import eventually


async def test_push_deploy_change_redeploy(up: Platform, person: Person) -> None:
    app = await person.app("hello", project("one"))
    first = await person.deploy(app)
    assert first.status is JobStatus.SUCCEEDED, first.error_message
    assert first.deploy_url == f"{up.gateway_url}/runtime/{app.id}/"
    assert await up.get(app.id) == (200, "one")
    assert (await person.info(app)).app_status == AppStatus.READY
    sha = await person.push(app, project("two"))
    second = await person.deploy(app)
    assert second.status is JobStatus.SUCCEEDED, second.error_message
    assert second.result and second.result.git_sha == sha
    assert await up.get(app.id) == (200, "two")
    log = await person.api.job_log(second.id, 0)
    assert "COPY" in log.chunk and log.final


@only_in_full  # the console's walk follows a log in every run
async def test_the_log_streams_while_the_build_runs(up: Platform, person: Person) -> None:
    slow = DOCKERFILE.replace("COPY . .", "COPY . .\nRUN echo first-words && sleep 3 && echo last-words")
    app = await person.app("slow", project(dockerfile=slow))
    job = await person.api.deploy(person.user_id, app.id, CreateDeploy())

    async def first_words() -> bool:
        return "first-words" in (await person.api.job_log(job.id, 0)).chunk.replace("echo first-words", "")

    await eventually(first_words, seconds=60, every=0.1)
    assert not (await person.api.job(job.id)).status.final
    assert (await person.ended(job.id)).status is JobStatus.SUCCEEDED


@only_in_full  # tests/service/api has the slots
async def test_stop_frees_the_slot_and_start_brings_it_back(up: Platform, person: Person) -> None:
    app = await person.app("life", project("alive"))
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    await person.api.app_call("stop", person.user_id, app.id)
    assert (await person.info(app)).app_status == AppStatus.UPLOADED
    status, page = await up.get(app.id)
    assert status == 503, page
    await person.api.app_call("start", person.user_id, app.id)
    assert await up.get(app.id) == (200, "alive")
    await person.api.delete_app(person.user_id, app.id)
    assert (await up.get(app.id))[0] == 404


async def test_variables_reach_the_app_and_a_rollback_restores_them(up: Platform, person: Person) -> None:
    app = await person.app("env", project("v1"))
    await person.api.set_env(person.user_id, app.id, {"GREETING": "first secret"})
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    assert await up.get(app.id, "/env") == (200, "first secret")
    await person.api.set_env(person.user_id, app.id, {"GREETING": "second secret"})
    await person.push(app, project("v2"))
    second = await person.deploy(app)
    assert second.status is JobStatus.SUCCEEDED
    assert await up.get(app.id, "/env") == (200, "second secret")
    assert "secret" not in second.model_dump_json() and "secret" not in (await person.api.job_log(second.id, 0)).chunk
    back = await person.api.rollback(person.user_id, app.id, 1)
    assert (await person.ended(back.id)).status is JobStatus.SUCCEEDED
    assert await up.get(app.id) == (200, "v1")
    assert await up.get(app.id, "/env") == (200, "first secret")


BROKEN = {
    "GIT_REF_NOT_FOUND": (project(), {"gitRef": "no-such-branch"}),
    "DOCKERFILE_MISSING": (project(dockerfile=None), {}),
    "BUILD_FAILED": (project(dockerfile=DOCKERFILE + "RUN echo the-reason && false\n"), {}),
    "APP_EXITED": (
        project(dockerfile=DOCKERFILE.replace('"server.js"', '"-e", "console.log(`the-reason`); process.exit(3)"')),
        {},
    ),
    # On another port and all addresses it would be found, and served there.
    "APP_NOT_LISTENING": (project() | {"server.js": SERVER.replace("PORT", "3000, '127.0.0.1'")}, {"healthPath": "/"}),
}
TOLD = extent(("BUILD_FAILED", "APP_EXITED"), tuple(BROKEN))
"""The others are the Runner's and the agent's own tests in every run."""


@pytest.mark.timeout(400)  # one good deploy and five bad ones
async def test_bad_deploys_are_told_and_the_old_version_serves_on(up: Platform, person: Person) -> None:
    app = await person.app("was-good", project("still here"))
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    for code in TOLD:
        files, wishes = BROKEN[code]
        await person.push(app, files)
        job = await person.deploy(app, seconds=150, **wishes)
        assert job.status is JobStatus.FAILED
        assert job.failure and (job.failure.code, job.failure.blame) == (code, "user"), job.error_message
        if "the-reason" in str(files):
            assert "the-reason" in str(job.error_message)
        after = await person.info(app)
        assert after.app_status == AppStatus.FAILED
        assert after.last_deploy_error
        assert await up.get(app.id) == (200, "still here")


async def test_an_image_that_cannot_be_pulled(up: Platform, person: Person) -> None:
    app = await person.app("image")
    repository = f"127.0.0.1:{up.ports.registry}/funaistudio/u{person.user_id}-app{app.id}"
    job = await person.deploy(app, image=f"{repository}:none")
    assert job.status is JobStatus.FAILED
    assert job.failure and job.failure.code == "IMAGE_NOT_FOUND", job.error_message


@pytest.mark.parametrize(
    "wishes",
    [
        {"containerPort": 0},
        {"containerPort": 70000},
        {"gitRef": "--upload-pack=x"},
        {"dockerfilePath": "../../etc/passwd"},
        {"buildContext": "/etc"},
        {"image": "--privileged"},
        {"imageTag": "a b"},
        {"basePath": "/../x"},
    ],
)
async def test_bad_wishes_are_refused_before_a_job_exists(up: Platform, person: Person, wishes: dict[str, object]) -> None:
    app = await person.app("wishes")
    async with httpx.AsyncClient(base_url=up.api_url, headers=person.api.transport.raw.headers, trust_env=False) as http:
        url = f"/api/fun-ai/deploy/job/create?userId={person.user_id}&appId={app.id}"
        answer = await http.post(url, json=wishes)
        assert answer.status_code == 400, answer.text
        assert next(iter(wishes)) in answer.json()["message"]
        broken = await http.post(url, content=b"{not json", headers={"Content-Type": "application/json"})
        assert (broken.status_code, broken.json()["reason"]) == (400, "BAD_JSON")
    assert await person.api.history(person.user_id, app.id, 10) == []


async def test_what_is_somebody_elses_does_not_exist(up: Platform, person: Person) -> None:
    app = await person.app("mine", project())
    job = await person.deploy(app)
    stranger = await up.person(f"stranger-{person.user_id}")
    for call in (
        stranger.api.job(job.id),
        stranger.api.cancel(job.id),
        stranger.api.job_log(job.id, 0),
        stranger.api.app(stranger.user_id, app.id),
        stranger.api.deploy(stranger.user_id, app.id, CreateDeploy()),
        stranger.api.app_call("stop", stranger.user_id, app.id),
        stranger.api.delete_app(stranger.user_id, app.id),
    ):
        with pytest.raises((NotFound, Forbidden)) as foreign:
            await call
        assert "mine" not in foreign.value.message("en")
    with pytest.raises(Forbidden):
        await stranger.api.apps(person.user_id)
    with pytest.raises(NotFound) as missing:
        await stranger.api.app(stranger.user_id, 999_999)
    with pytest.raises(NotFound) as hidden:
        await stranger.api.app(stranger.user_id, app.id)
    assert (missing.value.reason, missing.value.message("en")) == (hidden.value.reason, hidden.value.message("en"))
    assert await up.get(app.id) == (200, "hello")
    await stranger.api.close()


async def test_slots_and_the_second_deploy(up: Platform, person: Person) -> None:
    slow = project(dockerfile=DOCKERFILE.replace("COPY . .", "COPY . .\nRUN sleep 600"))
    apps = [await person.app(f"a{i}", slow) for i in range(4)]
    taken = [await person.api.deploy(person.user_id, app.id, CreateDeploy()) for app in apps[:2]]
    outcomes = await asyncio.gather(
        *(person.api.deploy(person.user_id, app.id, CreateDeploy()) for app in apps[2:]), return_exceptions=True
    )
    refused = [o for o in outcomes if isinstance(o, FunaiError)]
    assert [(type(r), r.reason) for r in refused] == [(Conflict, "QUOTA_RUNNING_APPS")]
    with pytest.raises(Conflict) as again:
        await person.api.deploy(person.user_id, apps[0].id, CreateDeploy())
    assert again.value.reason == "APP_DEPLOYING"
    jobs = taken + [o for o in outcomes if not isinstance(o, BaseException)]
    for job in jobs:
        await person.api.cancel(job.id)
    for job in jobs:
        assert (await person.ended(job.id, 20)).status is JobStatus.CANCELLED
