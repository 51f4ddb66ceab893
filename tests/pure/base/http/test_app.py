"""The shared HTTP edge: one envelope, two languages, nothing inside out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal, get_args

import httpx
import pytest
from fastapi import Depends, FastAPI
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError
from pydantic_core.core_schema import ErrorType

from funai.base.http.app import Answers, create_app, ok, pick_language
from funai.base.http.guards import SecretGuard, networks
from funai.base.http.invalid import WORDS, words_for
from funai.contracts.errors import Conflict
from funai.contracts.jobs import CreateJob


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

    guard = SecretGuard(
        "X-Key", SecretStr("k" * 20), allowed=networks(["10.0.0.0/8"], "x"), trusted=networks(["127.0.0.1"], "y")
    )

    @app.get("/guard", dependencies=[Depends(guard)])
    async def through() -> object:  # pyright: ignore[reportUnusedFunction]
        return ok("in")

    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app_with()), base_url="http://t") as client:
        yield client


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


async def test_what_is_wrong_with_a_request_is_said_in_the_callers_language(http: httpx.AsyncClient) -> None:
    async def told(body: object, language: str = "zh") -> str:
        answer = await http.post("/job", json=body, headers={"Accept-Language": language})
        assert answer.json()["reason"] == "BAD_INPUT"
        return str(answer.json()["message"])

    assert await told({"payload": {}}) == "请求参数有误：type 必填"
    assert await told({"payload": {}}, "en") == "bad request: type: is missing"
    assert await told({"type": "BUILD_AND_DEPLOY", "payload": {"appId": "x"}}) == "请求参数有误：payload.appId 须为整数"
    assert await told([]) == "请求参数有误：body 须为 JSON 对象"
    form = await http.post("/job", content=b'{"type":"x"}', headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.json()["message"] == "请求参数有误：请求体须以 Content-Type: application/json 发送"


@pytest.mark.parametrize("body", [b"[" * 900, b'{"type":"\xff"}', b'{"type":' + b"9" * 900 + b"}", b"\xff\xfe"])
async def test_a_body_that_breaks_the_parser_is_no_json(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/job", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["reason"] in ("BAD_JSON", "BAD_INPUT")
    assert "error parsing" not in answer.json()["message"]


def test_pydantic_knows_the_kinds_of_error_by_these_names_and_facts() -> None:
    assert set(WORDS) <= set(get_args(ErrorType))

    class Bounded(BaseModel):
        low: Annotated[int, Field(ge=2)] = 2
        high: Annotated[int, Field(le=2)] = 2
        over: Annotated[float, Field(gt=2)] = 3
        under: Annotated[float, Field(lt=2)] = 1
        long: Annotated[str, Field(max_length=2)] = ""
        short: Annotated[str, Field(min_length=2)] = "ab"
        form: Annotated[str, Field(pattern="^b$")] = "b"
        many: Annotated[list[int], Field(max_length=2)] = []
        few: Annotated[list[int], Field(min_length=2)] = [1, 2]
        word: Literal["b"] = "b"
        kind: Answers = Answers.PLAIN
        own: Annotated[str, AfterValidator(_never)] = ""

    bad = {
        "low": 1,
        "high": 3,
        "over": 2,
        "under": 2,
        "long": "abc",
        "short": "a",
        "form": "a",
        "many": [1, 2, 3],
        "few": [1],
        "word": "a",
        "kind": "a",
        "own": "a",
    }
    with pytest.raises(ValidationError) as e:
        Bounded.model_validate(bad)
    told = {str(x["loc"][0]): words_for({**x, "loc": ("body", *x["loc"])}, "application/json") for x in e.value.errors()}
    assert set(told) == set(bad)
    assert (told["low"].zh, told["low"].en) == ("low 不得小于 2", "low: must be at least 2")
    assert (told["own"].zh, told["own"].en) == ("own（not this one）", "own: not this one")
    assert told["kind"].en == "kind: must be one of 'envelope' or 'plain'"


def _never(_: str) -> str:
    raise ValueError("not this one")


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
        return (await http.get("/guard", headers={k.replace("_", "-"): v for k, v in headers.items()})).status_code

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
