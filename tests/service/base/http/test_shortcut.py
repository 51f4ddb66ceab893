"""A hot call's short way answers exactly as its route does: good, bad, too large, refused, gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import Field, SecretStr

from funai.base.http.app import create_app, ok_json
from funai.base.http.guards import SecretDoor
from funai.base.http.shortcut import Shortcut
from funai.contracts.errors import Conflict
from funai.contracts.wire import Wire

HEADERS = {"X-Door": "s3cret", "Content-Type": "application/json"}


class Ask(Wire):
    app_id: int = Field(ge=1)
    note: str = ""


def build(*, short: bool) -> tuple[FastAPI, list[str]]:
    """An app with one call, and which way its good answers went."""
    app = create_app("t", max_body=1000)
    ways: list[str] = []
    door = SecretDoor("X-Door", SecretStr("s3cret"))
    router = APIRouter(dependencies=[Depends(door)])

    def answer(ask: Ask, job_id: int) -> dict[str, Any]:
        if ask.note == "lost":
            raise Conflict("LEASE_LOST")
        return {"appId": ask.app_id, "jobId": job_id, "note": ask.note}

    @router.post("/jobs/{job_id}/beat")
    async def route(job_id: int, ask: Ask) -> Response:
        ways.append("route")
        return ok_json(answer(ask, job_id))

    async def work(_: Request, ask: Ask, job_id: int) -> Any:
        ways.append("short")
        return answer(ask, job_id)

    app.include_router(router)
    if short:
        app.state.shortcuts.add([Shortcut("/jobs/{job_id}/beat", door, Ask, work)])
    return app, ways


@pytest.fixture
async def both() -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient, list[str]]]:
    app, ways = build(short=True)
    plain, _ = build(short=False)
    transports = [httpx.ASGITransport(a) for a in (app, plain)]
    async with (
        httpx.AsyncClient(transport=transports[0], base_url="http://t") as one,
        httpx.AsyncClient(transport=transports[1], base_url="http://t") as two,
    ):
        yield one, two, ways


@pytest.mark.parametrize(
    ("path", "body", "headers", "way"),
    [
        ("/jobs/7/beat", b'{"appId": 3, "note": "\xe4\xbd\xa0"}', {}, ["short"]),
        ("/jobs/7/beat", b'{"appId": "3", "other": 1}', {}, ["short"]),
        ("/jobs/7/beat", b'{"appId": 3, "note": "lost"}', {}, ["short"]),
        ("/jobs/7/beat", b'{"appId": 3, "note": "lost"}', {"Accept-Language": "en"}, ["short"]),
        ("/jobs/7/beat", b'{"appId": 0}', {}, []),
        ("/jobs/7/beat", b"{", {}, []),
        ("/jobs/7/beat", b"", {}, []),
        ("/jobs/7/beat", b"\xff", {}, []),
        ("/jobs/7/beat", b"[" * 900, {}, []),
        ("/jobs/7/beat", b'{"appId": 3}' + b" " * 2000, {}, []),
        ("/jobs/7/beat", b'{"appId": 3}', {"X-Door": "wrong"}, []),
        ("/jobs/7/beat", b'{"appId": 3}', {"Content-Type": "text/plain"}, []),
        ("/jobs/-7/beat", b'{"appId": 3}', {}, ["route"]),
        ("/jobs/x/beat", b'{"appId": 3}', {}, []),
    ],
)
async def test_both_ways_answer_alike(
    both: tuple[httpx.AsyncClient, httpx.AsyncClient, list[str]],
    path: str,
    body: bytes,
    headers: dict[str, str],
    way: list[str],
) -> None:
    one, two, ways = both
    given = {**HEADERS, **headers, "X-Trace-Id": "same"}
    short, plain = await one.post(path, content=body, headers=given), await two.post(path, content=body, headers=given)
    assert (short.status_code, short.json()) == (plain.status_code, plain.json())
    assert (ways, short.headers["content-type"]) == (way, plain.headers["content-type"])
    assert short.headers["X-Trace-Id"] == "same"


async def test_the_figures_know_the_path_and_not_the_id(
    both: tuple[httpx.AsyncClient, httpx.AsyncClient, list[str]],
) -> None:
    one, _, _ = both
    await one.post("/jobs/7/beat", content=json.dumps({"appId": 3}), headers=HEADERS)
    figures = (await one.get("/metrics")).text
    assert 'route="/jobs/{job_id}/beat"' in figures
    assert "/jobs/7/" not in figures
