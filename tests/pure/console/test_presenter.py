"""What pages show of jobs and releases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from funai.console import presenter
from funai.contracts.accounts import App, Serving
from funai.contracts.jobs import Job, JobResult, Release, ReleaseComparison
from funai.contracts.states import AppStatus, JobStatus, JobType

BEGAN = datetime(2026, 1, 31, 9, tzinfo=UTC)


def _job(status: JobStatus, phase: str | None = None, **more: Any) -> Job:
    payload = {"appId": 7, **({"phase": phase} if phase else {})}
    return Job(
        id=more.pop("id", 5),
        type=JobType.BUILD_AND_DEPLOY,
        status=status,
        payload=payload,
        created_at=BEGAN,
        updated_at=BEGAN,
        **more,
    )


def _states(job: Job) -> dict[str, str]:
    return {s.name: s.state for s in presenter.steps(job)}


def test_steps_of_a_queued_job_wait_behind_the_queue() -> None:
    states = _states(_job(JobStatus.PENDING))
    assert states == {"QUEUED": "running", "CLONE": "waiting", "BUILD": "waiting", "PUSH": "waiting", "DEPLOY": "waiting"}


def test_steps_of_a_running_job_follow_its_phase() -> None:
    states = _states(_job(JobStatus.RUNNING, "BUILD", started_at=BEGAN + timedelta(seconds=2)))
    assert states == {"QUEUED": "done", "CLONE": "done", "BUILD": "running", "PUSH": "waiting", "DEPLOY": "waiting"}


def test_steps_of_a_failed_job_name_the_phase_that_failed() -> None:
    states = _states(_job(JobStatus.FAILED, "BUILD"))
    assert states["BUILD"] == "failed"
    assert states["PUSH"] == states["DEPLOY"] == "skipped"


def test_steps_of_a_successful_job_have_times_beside_those_before() -> None:
    now = _job(
        JobStatus.SUCCEEDED, started_at=BEGAN, result=JobResult(phases_ms={"clone": 100, "deploy": 300, "deploy.pull": 9})
    )
    before = _job(JobStatus.SUCCEEDED, started_at=BEGAN, result=JobResult(phases_ms={"clone": 200, "build": 9000}))
    steps = {s.name: s for s in presenter.steps(now, before)}
    assert (steps["CLONE"].ms, steps["CLONE"].before_ms) == (100, 200)
    assert (steps["BUILD"].state, steps["BUILD"].before_ms) == ("skipped", 9000)
    assert steps["DEPLOY"].state == "done"


def test_previous_success_is_the_newest_older_one() -> None:
    history = [
        _job(s, id=i)
        for i, s in ((9, JobStatus.SUCCEEDED), (8, JobStatus.FAILED), (3, JobStatus.SUCCEEDED), (2, JobStatus.SUCCEEDED))
    ]
    assert (found := presenter.previous_success(history[0], history)) is not None
    assert found.id == 3


def test_compare_tells_what_changed() -> None:
    old = Release(
        app_id=1, number=1, job_id=1, image="i", digest="sha256:a", git_sha="1", container_port=3000, created_at=BEGAN
    )
    new = old.model_copy(update={"git_sha": "2", "container_port": 8080})
    changed = {d.name: d.changed for d in presenter.compare(ReleaseComparison(old=old, new=new))}
    assert changed == {
        "release_commit": True,
        "release_ref": False,
        "release_image": False,
        "release_digest": False,
        "release_port": True,
    }


OWN = "ssh://git@127.0.0.1:2222/funai/u1-app1.git"
APP = App(id=1, user_id=1, app_name="a", app_status=AppStatus.READY, repo_ssh_url=OWN, created_at=BEGAN, updated_at=BEGAN)


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"gitRef": "v1", "repoSshUrl": OWN, "containerPort": 3000}, {"git_ref": "v1", "container_port": "3000"}),
        ({"gitRef": "main", "repoSshUrl": "ssh://git@moved:22/funai/u1-app1.git"}, {"git_ref": "main"}),
        ({"repoSshUrl": "ssh://git@elsewhere:22/team/shop.git"}, {"repo_ssh_url": "ssh://git@elsewhere:22/team/shop.git"}),
        ({"image": "docker.io/library/nginx:1", "repoSshUrl": OWN}, {"image": "docker.io/library/nginx:1"}),
    ],
)
def test_deploying_again_asks_for_the_same(payload: dict[str, object], fields: dict[str, str]) -> None:
    assert presenter.again(_job(JobStatus.FAILED).model_copy(update={"payload": payload}), APP) == fields


@pytest.mark.parametrize(
    ("ms", "words"), [(None, ""), (0, "0 ms"), (999, "999 ms"), (12_400, "12.4 s"), (185_000, "3 min 05 s")]
)
def test_duration_in_words(ms: int | None, words: str) -> None:
    assert presenter.duration(ms) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "just now"), (59, "just now"), (60, "1 min ago"), (7_200, "2 h ago"), (200_000, "2 d ago")]
)
def test_ago_in_words(seconds: int, words: str) -> None:
    assert presenter.ago("en", BEGAN, BEGAN + timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("status", "serves", "looping", "badges"),
    [
        (AppStatus.READY, True, False, ["good state_3"]),
        (AppStatus.READY, True, True, ["bad crash_looping"]),
        (AppStatus.UPLOADED, False, False, ["idle state_1"]),
        (AppStatus.FAILED, True, False, ["good state_3", "bad state_4"]),
        (AppStatus.FAILED, True, True, ["bad crash_looping", "bad state_4"]),
        (AppStatus.FAILED, False, False, ["off state_1", "bad state_4"]),
        (AppStatus.DEPLOYING, True, False, ["good state_3", "busy state_2"]),
        (AppStatus.DEPLOYING, False, False, ["off state_1", "busy state_2"]),
        (AppStatus.DISABLED, False, False, ["off state_5"]),
    ],
)
def test_badges_say_what_serves_before_what_happened_last(
    status: AppStatus, serves: bool, looping: bool, badges: list[str]
) -> None:
    app = App(
        id=7,
        user_id=1,
        app_name="shop",
        app_status=status,
        serving=Serving(release=1) if serves else None,
        crash_looping=looping or None,
        created_at=BEGAN,
        updated_at=BEGAN,
    )
    assert [" ".join(badge) for badge in presenter.app_badges(app)] == badges
