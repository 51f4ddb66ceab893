"""The Harbor driver: what it asks, word for word, and, where Harbor's published OpenAPI is at hand, against that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from funai.base.clients.registry.contract import Artifact
from funai.base.clients.registry.harbor import API, Harbor
from funai.base.clients.registry.http import Login, RegistryAt, RegistryHttp
from funai.contracts.errors import CalleeFailed

SPEC = Path(__file__).parents[6] / "shared" / "spec" / "published" / "harbor-v2.0-swagger.yaml"
REPO = "funaistudio/u1-app2"
ONE, TWO, INDEX = (f"sha256:{c * 64}" for c in "12f")
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


class FakeHarbor(httpx.AsyncBaseTransport):
    """Answers as Harbor documents it, and remembers what it was asked."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = {r["digest"]: r for r in rows}
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        path = request.url.raw_path.decode().partition("?")[0]
        found = re.fullmatch(rf"{API}/projects/funaistudio/repositories/u1-app2/artifacts(?:/(sha256:[0-9a-f]+))?", path)
        if not found:
            return httpx.Response(404, json={"errors": [{"code": "NOT_FOUND", "message": "repository not found"}]})
        digest = found.group(1)
        if digest is None:
            page, size = int(request.url.params["page"]), int(request.url.params["page_size"])
            return httpx.Response(200, json=list(self.rows.values())[(page - 1) * size : page * size])
        if digest not in self.rows:
            return httpx.Response(404, json={"errors": [{"code": "NOT_FOUND", "message": "artifact not found"}]})
        if request.method == "DELETE":
            del self.rows[digest]
            return httpx.Response(200)
        return httpx.Response(200, json=self.rows[digest])


def door(transport: httpx.AsyncBaseTransport) -> RegistryAt:
    login = Login("robot$cleanup", "secret")
    return RegistryHttp({"harbor.example": login}, plain=lambda _: False, http=transport).at("harbor.example")


@pytest.fixture
def harbor() -> FakeHarbor:
    return FakeHarbor(ROWS)


@pytest.fixture
def driver(harbor: FakeHarbor) -> Harbor:
    return Harbor(door(harbor))


async def _use_everything(driver: Harbor) -> None:
    await driver.artifacts(REPO)
    await driver.artifact(REPO, ONE)
    await driver.delete(REPO, ONE)


async def test_it_lists_tagged_and_untagged_artifacts(driver: Harbor, harbor: FakeHarbor) -> None:
    assert await driver.artifacts(REPO) == [
        Artifact(ONE),
        Artifact(TWO, frozenset({"latest"})),
        Artifact(INDEX, children=frozenset({TWO})),
    ]
    (request,) = harbor.asked
    assert (
        request.url
        == f"https://harbor.example{API}/projects/funaistudio/repositories/u1-app2/artifacts?page=1&page_size=100&with_tag=true"
    )
    assert request.headers["authorization"].startswith("Basic ")


async def test_it_lists_every_page(harbor: FakeHarbor) -> None:
    rows = [{**ROWS[0], "digest": f"sha256:{i:064x}"} for i in range(250)]
    many = Harbor(door(FakeHarbor(rows)))
    assert len(await many.artifacts(REPO)) == 250


async def test_a_delete_is_by_digest_and_idempotent(driver: Harbor, harbor: FakeHarbor) -> None:
    assert await driver.delete(REPO, ONE)
    assert not await driver.delete(REPO, ONE)
    assert await driver.artifact(REPO, ONE) is None
    assert await driver.artifact(REPO, INDEX) == Artifact(INDEX, children=frozenset({TWO}))
    assert [r.method for r in harbor.asked] == ["DELETE", "DELETE", "GET", "GET"]


async def test_a_repository_of_several_parts_is_encoded_twice(driver: Harbor, harbor: FakeHarbor) -> None:
    assert await driver.artifacts("funaistudio/team/u1-app2") == []
    assert b"/projects/funaistudio/repositories/team%252Fu1-app2/artifacts?" in harbor.asked[0].url.raw_path


async def test_refusals_are_failures_with_harbors_words(harbor: FakeHarbor) -> None:
    class Refusing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(403, json={"errors": [{"code": "FORBIDDEN", "message": "no permission"}]})

    refused = Harbor(door(Refusing()))
    with pytest.raises(CalleeFailed, match="FORBIDDEN: no permission"):
        await refused.delete(REPO, ONE)
    with pytest.raises(CalleeFailed, match="project"):
        await refused.artifacts("u1-app2")


async def test_every_call_is_one_that_harbor_has(driver: Harbor, harbor: FakeHarbor) -> None:
    """The paths as Harbor's OpenAPI v2.0 writes them, and that document itself where it is at hand."""
    await _use_everything(driver)
    calls = [(r.method.lower(), _template(r.url.raw_path.decode()), set(r.url.params)) for r in harbor.asked]
    listed = "/projects/{project_name}/repositories/{repository_name}/artifacts"
    assert calls == [
        ("get", listed, {"page", "page_size", "with_tag"}),
        ("get", f"{listed}/{{reference}}", {"with_tag"}),
        ("delete", f"{listed}/{{reference}}", set()),
    ]
    if SPEC.exists():
        spec = yaml.load(SPEC.read_text(), Loader=yaml.CSafeLoader)
        assert spec["basePath"] == API
        for method, path, params in calls:
            operation = spec["paths"][path][method]
            known = {_resolve(spec, p)["name"] for p in operation["parameters"] if _resolve(spec, p)["in"] == "query"}
            assert params <= known, (method, path)
            assert "200" in operation["responses"]
            assert "404" in operation["responses"]


def test_what_the_fake_answers_is_what_harbor_documents() -> None:
    """Without the document: the fields the driver reads are those of Harbor's Artifact, Tag and Reference."""
    if SPEC.exists():
        spec = yaml.load(SPEC.read_text(), Loader=yaml.CSafeLoader)
        checker = jsonschema.Draft4Validator({"$ref": "#/definitions/Artifact", "definitions": spec["definitions"]})
        for row in ROWS:
            checker.validate({k: v for k, v in row.items() if v is not None})
        fields = {name: set(spec["definitions"][name]["properties"]) for name in ("Artifact", "Tag", "Reference")}
    else:
        fields = {"Artifact": {"digest", "tags", "references"}, "Tag": {"name"}, "Reference": {"child_digest"}}
    assert {"digest", "tags", "references"} <= fields["Artifact"]
    assert "name" in fields["Tag"]
    assert "child_digest" in fields["Reference"]
    assert all("digest" in r for r in ROWS)


def _resolve(spec: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    ref = parameter.get("$ref")
    return spec["parameters"][ref.rpartition("/")[2]] if ref else parameter


def _template(raw_path: str) -> str:
    path = raw_path.partition("?")[0].removeprefix(API)
    path = re.sub(r"/projects/[^/]+/repositories/[^/]+", "/projects/{project_name}/repositories/{repository_name}", path)
    return re.sub(r"/artifacts/.+", "/artifacts/{reference}", path)
