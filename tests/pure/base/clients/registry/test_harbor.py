"""The Harbor driver: what it asks, word for word. Each call is held against Harbor's published OpenAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from funai.base.clients.registry.contract import Artifact, RegistryFailed, Why
from funai.base.clients.registry.harbor import Harbor
from funai.base.clients.registry.http import Login, RegistryAt, RegistryHttp
from funai.contracts.errors import CalleeFailed
from tests.parts.harbor import PASSWORD, ScriptedHarbor

REPO = "funaistudio/u1-app2"
ONE, TWO, INDEX = (f"sha256:{c * 64}" for c in "12f")
OVER_QUOTA = (
    "adding 20.3 MiB of storage resource, which when updated to current usage of 300.0 GiB will exceed the configured "
    "upper limit of 300.0 GiB."
)
CHILD = {"parent_id": 3, "child_id": 2, "child_digest": TWO}
ROWS: list[dict[str, Any]] = [
    {"id": 1, "type": "IMAGE", "digest": ONE, "size": 7, "push_time": "2026-01-01T00:00:00.000Z", "tags": None},
    {"id": 2, "type": "IMAGE", "digest": TWO, "tags": [{"id": 1, "name": "latest", "immutable": False}], "references": None},
    {
        "id": 3,
        "type": "IMAGE",
        "digest": INDEX,
        "tags": [],
        "references": [{"parent_id": 3, "child_id": 2, "child_digest": TWO}],
    },
]


def door(transport: httpx.AsyncBaseTransport) -> RegistryAt:
    login = Login("robot$cleanup", PASSWORD)
    return RegistryHttp({"harbor.example": login}, plain=lambda _: False, http=transport).at("harbor.example")


@pytest.fixture
def harbor() -> Iterator[ScriptedHarbor]:
    scripted = ScriptedHarbor()
    scripted.artifacts[REPO] = {row["digest"]: {k: v for k, v in row.items() if v is not None} for row in ROWS}
    yield scripted
    assert scripted.transport.faults == []


@pytest.fixture
def driver(harbor: ScriptedHarbor) -> Harbor:
    return Harbor(door(harbor.transport))


async def test_it_lists_tagged_and_untagged_artifacts(driver: Harbor, harbor: ScriptedHarbor) -> None:
    assert await driver.artifacts(REPO) == [
        Artifact(ONE),
        Artifact(TWO, frozenset({"latest"})),
        Artifact(INDEX, children=frozenset({TWO})),
    ]
    assert await driver.artifacts("funaistudio/u9-app9") == []


async def test_it_lists_every_page(driver: Harbor, harbor: ScriptedHarbor) -> None:
    harbor.artifacts[REPO] = {f"sha256:{i:064x}": {"digest": f"sha256:{i:064x}"} for i in range(250)}
    assert len(await driver.artifacts(REPO)) == 250


async def test_a_delete_is_by_digest_and_idempotent(driver: Harbor, harbor: ScriptedHarbor) -> None:
    assert await driver.delete(REPO, ONE)
    assert not await driver.delete(REPO, ONE)
    assert await driver.artifact(REPO, ONE) is None
    assert await driver.artifact(REPO, INDEX) == Artifact(INDEX, children=frozenset({TWO}))
    assert [asked.partition(" ")[0] for asked in harbor.transport.asked] == ["DELETE", "DELETE", "GET", "GET"]


async def test_a_repository_of_several_parts_is_encoded_twice(driver: Harbor, harbor: ScriptedHarbor) -> None:
    harbor.artifacts["funaistudio/team%252Fu1-app2"] = {ONE: {"digest": ONE}}
    assert await driver.artifacts("funaistudio/team/u1-app2") == [Artifact(ONE)]


async def test_forget_removes_an_empty_repository_and_no_other(driver: Harbor, harbor: ScriptedHarbor) -> None:
    assert not await driver.forget(REPO)
    assert REPO in harbor.artifacts
    harbor.artifacts[REPO] = {}
    assert await driver.forget(REPO)
    assert not await driver.forget(REPO)
    assert harbor.artifacts == {}


async def test_rivals_are_the_projects_rules_that_take_images_of_apps(driver: Harbor, harbor: ScriptedHarbor) -> None:
    assert await driver.rivals("funaistudio") == []
    harbor.projects["funaistudio"] = {}
    assert await driver.rivals("funaistudio") == []
    rule = {"template": "latestPulledN", "params": {"latestPulledN": 2}}
    harbor.policy = {"id": 4, "rules": [rule], "scope": {"level": "project", "ref": 3}}
    assert await driver.rivals("funaistudio") == ["latestPulledN(2)"]


async def test_immutable_artifact_is_told_apart_from_other_refusals(driver: Harbor, harbor: ScriptedHarbor) -> None:
    harbor.immutable = {ONE}
    with pytest.raises(RegistryFailed, match="configured as immutable") as refused:
        await driver.delete(REPO, ONE)
    assert refused.value.why is Why.IMMUTABLE


@pytest.mark.parametrize(
    ("status", "code", "message", "why"),
    [
        (403, "FORBIDDEN", "no permission", Why.AUTH),
        (403, "DENIED", "requested access to the resource is denied", Why.AUTH),
        (
            403,
            "DENIED",
            OVER_QUOTA,
            Why.QUOTA,
        ),
        (412, "PROJECTPOLICYVIOLATION", "current image without vulnerability scanning cannot be pulled", Why.REFUSED),
        (500, "UNKNOWN", "internal server error", Why.AWAY),
    ],
)
async def test_refusals_are_failures_with_harbors_words(status: int, code: str, message: str, why: Why) -> None:
    answer = {"errors": [{"code": code, "message": message}]}
    refused = Harbor(door(httpx.MockTransport(lambda _: httpx.Response(status, json=answer))))
    with pytest.raises(RegistryFailed, match=f"{code}: {message[:40]}") as failed:
        await refused.delete(REPO, ONE)
    assert failed.value.why is why


async def test_a_repository_without_a_project_is_refused(driver: Harbor) -> None:
    with pytest.raises(CalleeFailed, match="project"):
        await driver.artifacts("u1-app2")


@pytest.mark.parametrize("project", [[], {"metadata": 3}, {"metadata": {"retention_id": "7"}}])
async def test_answers_that_are_no_harbors_are_failures(project: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[] if "/retentions/" in request.url.path else project)

    with pytest.raises(RegistryFailed):
        await Harbor(door(httpx.MockTransport(answer))).rivals("funaistudio")
