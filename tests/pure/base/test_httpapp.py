"""The shared HTTP edge: one envelope, two languages, nothing inside out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import SecretStr

from funai.base.doors import SecretDoor, networks
from funai.base.httpapp import Answers, create_app, ok, pick_language
from funai.contracts.errors import Conflict
from funai.contracts.jobs import CreateJob
from funai.contracts.messages import input_fault


def app_with(answers: Answers = Answers.ENVELOPE) -> FastAPI:
    app = create_app("t", answers=answers, max_body=1000)

    @app.post("/job")
    async def job(body: CreateJob) -> object:  # pyright: ignore[reportUnusedFunction]
        return ok(body.to_wire())

    @app.get("/conflict")
    async def conflict() -> object:  # pyright: ignore[reportUnusedFunction]
        raise Conflict("APP_DEPLOYING")

    @app.get("/crash")
    async def crash() -> object:  # pyright: ignore[reportUnusedFunction]
        raise ZeroDivisionError("secret detail")

    door = SecretDoor("X-Key", SecretStr("k" * 20), allowed=networks(["10.0.0.0/8"], "x"), trusted=networks(["127.0.0.1"], "y"))

    @app.get("/door", dependencies=[Depends(door)])
    async def through() -> object:  # pyright: ignore[reportUnusedFunction]
        return ok("in")

    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_with()), base_url="http://t") as client:
        yield client


@pytest.mark.parametrize(
    ("body", "zh", "en"),
    [
        ({"type": "BUILD_AND_DEPLOY", "payload": 7}, "payload（须为对象）", "payload: Input should be"),
        ({"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": "x"}}, "payload.appId（须为整数）", "payload.appId: "),
        ({}, "type（缺少）", "type: Field required"),
    ],
)
async def test_a_fault_of_a_field_is_told_in_one_language(http: httpx.AsyncClient, body: object, zh: str, en: str) -> None:
    said = [(await http.post("/job", json=body, headers={"Accept-Language": lang})).json()["message"] for lang in ("zh", "en")]
    assert (said[0], en in said[1]) == (f"请求参数有误：{zh}", True)


def test_words_that_have_no_chinese_stay_as_they_are() -> None:
    assert input_fault("value_error", "Value error, {x}", {"error": "x"}).zh == "Value error, {x}"
    assert input_fault("less_than_equal", "…", {"le": 10}).zh == "须不大于 10"


async def test_errors_come_in_the_callers_language_with_a_trace_id(http: httpx.AsyncClient) -> None:
    zh = await http.get("/conflict", headers={"X-Trace-Id": "abc-1"})
    en = await http.get("/conflict", headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert zh.status_code == 409
    assert zh.json() == {
        "code": 409,
        "message": "应用正在部署中，请等待完成或先取消",
        "data": None,
        "reason": "APP_DEPLOYING",
        "traceId": "abc-1",
    }
    assert en.json()["message"].startswith("the app is being deployed") and en.headers["X-Trace-Id"] == en.json()["traceId"]


async def test_bad_bodies_are_clear(http: httpx.AsyncClient) -> None:
    english = {"Accept-Language": "en"}
    broken = await http.post("/job", content=b"{", headers={**english, "Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["reason"]) == (400, "BAD_JSON")
    option = await http.post(
        "/job", json={"type": "BUILD_AND_DEPLOY", "payload": {"gitRef": "--upload-pack=x"}}, headers=english
    )
    assert option.status_code == 400 and "gitRef" in option.json()["message"]
    big = await http.post("/job", content=b"x" * 2000, headers=english)
    assert (big.status_code, big.json()["reason"]) == (413, "TOO_LARGE")
    yes = await http.post("/job", json={"type": "BUILD_AND_DEPLOY", "payload": {"containerPort": True}}, headers=english)
    assert yes.status_code == 400
    assert "containerPort" in yes.json()["message"]


async def test_a_chunked_body_that_is_too_large_is_413_too(http: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    big = await http.post("/job", content=pieces(), headers={"Content-Type": "application/json"})
    assert (big.status_code, big.json()["reason"]) == (413, "TOO_LARGE")


async def test_unknown_paths_and_methods(http: httpx.AsyncClient) -> None:
    assert (await http.get("/nope")).json()["reason"] == "NOT_FOUND"
    wrong = await http.put("/conflict")
    assert (wrong.status_code, wrong.json()["reason"]) == (405, "METHOD_NOT_ALLOWED")


async def test_a_crash_tells_nothing_and_is_counted(http: httpx.AsyncClient) -> None:
    crash = await http.get("/crash")
    assert crash.status_code == 500 and "secret detail" not in crash.text and crash.json()["traceId"]
    metrics = (await http.get("/metrics")).text
    assert 'funai_http_requests_total{method="GET",route="/crash",status="500"} 1.0' in metrics


async def test_the_door_wants_the_address_and_the_secret(http: httpx.AsyncClient) -> None:
    async def knock(**headers: str) -> int:
        return (await http.get("/door", headers={k.replace("_", "-"): v for k, v in headers.items()})).status_code

    good = "k" * 20
    assert await knock(X_Key=good) == 403
    assert await knock(X_Key=good, X_Forwarded_For="10.1.2.3") == 200
    assert await knock(X_Key=good, X_Forwarded_For="10.1.2.3, 192.0.2.1") == 403
    assert await knock(X_Key="wrong", X_Forwarded_For="10.1.2.3") == 401
    assert await knock(X_Forwarded_For="10.1.2.3") == 401


async def test_plain_services_answer_detail() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_with(Answers.PLAIN)), base_url="http://t") as client:
        answer = await client.get("/conflict", headers={"Accept-Language": "en"})
        assert answer.json() == {
            "detail": "the app is being deployed; wait for it or cancel it first",
            "reason": "APP_DEPLOYING",
        }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "zh"),
        ("en", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US;q=0.9,zh;q=0.1", "en"),
        ("fr", "zh"),
        ("en;q=x", "zh"),
        ("*", "zh"),
    ],
)
def test_language(header: str | None, expected: str) -> None:
    assert pick_language(header) == expected
