"""A hot route answers exactly as a plain one does: good, bad, too large, refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import Field, SecretStr

from funai.base.http.app import create_app, ok_json
from funai.base.http.guards import SecretGuard
from funai.base.http.hot_route import HotRoute
from funai.contracts.errors import Conflict
from funai.contracts.wire import MAX_ID, Wire

HEADERS = {"X-Guard": "s3cret", "Content-Type": "application/json"}


class Ask(Wire):
    app_id: int = Field(ge=1)
    note: str = ""


def build(route_class: type[APIRoute]) -> FastAPI:
    """An app with one call."""
    app = create_app("t", max_body=1000)
    router = APIRouter(dependencies=[Depends(SecretGuard("X-Guard", SecretStr("s3cret")))], route_class=route_class)

    @router.post("/jobs/{job_id}/beat")
    async def beat(job_id: Annotated[int, Path(ge=1, le=MAX_ID)], ask: Ask, request: Request) -> Response:
        if ask.note == "lost":
            raise Conflict("LEASE_LOST")
        return ok_json({"appId": ask.app_id, "jobId": job_id, "note": ask.note, "path": request.url.path})

    app.include_router(router)
    return app


@pytest.fixture
async def both() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(build(HotRoute)), base_url="http://t") as hot,
        httpx.AsyncClient(transport=httpx.ASGITransport(build(APIRoute)), base_url="http://t") as plain,
    ):
        yield hot, plain


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/jobs/7/beat", b'{"appId": 3, "note": "\xe4\xbd\xa0"}', {}),
        ("/jobs/7/beat", b'{"appId": "3", "other": 1}', {}),
        ("/jobs/7/beat", b'{"appId": 3, "note": "lost"}', {}),
        ("/jobs/7/beat", b'{"appId": 3, "note": "lost"}', {"Accept-Language": "en"}),
        ("/jobs/7/beat", b'{"appId": 0}', {}),
        ("/jobs/7/beat", b"{", {}),
        ("/jobs/7/beat", b"", {}),
        ("/jobs/7/beat", b"\xff", {}),
        ("/jobs/7/beat", b"[" * 900, {}),
        ("/jobs/7/beat", b'{"appId": 3}' + b" " * 2000, {}),
        ("/jobs/7/beat", b'{"appId": 3}', {"X-Guard": "wrong"}),
        ("/jobs/7/beat", b'{"appId": 3}', {"Content-Type": "text/plain"}),
        ("/jobs/-7/beat", b'{"appId": 3}', {}),
        ("/jobs/0/beat", b'{"appId": 3}', {}),
        ("/jobs/x/beat", b'{"appId": 3}', {}),
        ("/jobs/99999999999999999999/beat", b'{"appId": 3}', {}),
    ],
)
async def test_a_hot_route_answers_as_a_plain_route_does(
    both: tuple[httpx.AsyncClient, httpx.AsyncClient], path: str, body: bytes, headers: dict[str, str]
) -> None:
    given = {**HEADERS, **headers, "X-Trace-Id": "same"}
    hot, plain = [await client.post(path, content=body, headers=given) for client in both]
    assert (hot.status_code, hot.json()) == (plain.status_code, plain.json())
    assert hot.headers["content-type"] == plain.headers["content-type"]
    assert hot.headers["X-Trace-Id"] == "same"


async def test_a_good_call_never_meets_the_general_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unused(_: Request) -> Response:
        raise AssertionError("the general handler was used")

    monkeypatch.setattr(APIRoute, "get_route_handler", lambda _: unused)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(HotRoute)), base_url="http://t") as hot:
        assert (await hot.post("/jobs/7/beat", content=b'{"appId": 3}', headers=HEADERS)).status_code == 200


async def test_metrics_name_the_path_template_and_no_id(both: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> None:
    hot, _ = both
    await hot.post("/jobs/7/beat", content=json.dumps({"appId": 3}), headers=HEADERS)
    page = (await hot.get("/metrics")).text
    assert 'route="/jobs/{job_id}/beat"' in page
    assert "/jobs/7/" not in page
