"""The edge: documents that people and machines read, tables beside other rooms', and whatever is thrown at it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from sqlalchemy import Connection, inspect

from funai.api import main as api_main
from funai.api.tables import metadata
from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.deploy import main as deploy_main
from tests.parts.extent import extent, only_in_full
from tests.service.api.platform import BASE, Person, Platform

HOST = "http://test"
CALLS = """\
post /deploy/job/create
get /deploy/job/info
get /deploy/build/rules
get /deploy/job/list
get /deploy/job/history
post /deploy/job/cancel
get /deploy/job/logs
get /deploy/app/list
post /deploy/app/stop
post /deploy/app/rollback
get /deploy/app/releases
get /app/create
post /app/create
get /app/list
get /app/info
post /app/update-basic
get /app/delete
post /app/delete
post /auth/register
post /auth/login
get /user/me
put /user/api-key
get /admin/deploy-nodes/list
post /admin/deploy-nodes/upsert
post /admin/deploy-nodes/set-enabled
get /admin/deploy-nodes/placements
post /admin/deploy-nodes/reassign
post /admin/deploy-nodes/drain"""


async def test_every_call_of_the_contract_is_there_and_described(platform: Platform) -> None:
    paths: dict[str, dict[str, Any]] = platform.api.openapi()["paths"]
    wanted = set(CALLS.split("\n"))
    there = {f"{method} {path.removeprefix(BASE.removeprefix(HOST))}" for path, calls in paths.items() for method in calls}
    assert wanted <= there
    for path, calls in paths.items():
        for method, call in calls.items():
            assert call.get("summary"), f"{method} {path} has no summary"
            assert call.get("tags"), f"{method} {path} has no tag"
            assert set(call["responses"]) == {"200", "default"}, f"{method} {path} answers errors of another form"
    ids = [call["operationId"] for calls in paths.values() for call in calls.values()]
    assert len(ids) == len(set(ids))


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    db = Database(database_url)
    try:
        await migrate.upgrade(db, api_main.MIGRATIONS)
        await migrate.upgrade(db, api_main.MIGRATIONS)
        async with db.read() as conn:
            found = await conn.run_sync(_columns)
    finally:
        await db.close()
    said = {t.name: {c.name: bool(c.nullable) for c in t.columns} for t in metadata.tables.values()}
    assert {name: found[name] for name in said} == said


def _columns(conn: Connection) -> dict[str, dict[str, bool]]:
    inspector = inspect(conn)
    return {t: {c["name"]: bool(c["nullable"]) for c in inspector.get_columns(t)} for t in inspector.get_table_names()}


async def test_api_and_deploy_may_share_a_database(database_url: str) -> None:
    db = Database(database_url)
    try:
        await migrate.upgrade(db, api_main.MIGRATIONS)
        await migrate.upgrade(db, deploy_main.MIGRATIONS)
        async with db.read() as conn:
            assert {"funai_user", "fun_ai_deploy_job"} <= set(await conn.run_sync(_columns))
    finally:
        await db.close()


async def test_bodies_that_are_no_json_or_no_object(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    at = {"params": {"appId": app_id}}
    bodies: list[bytes] = [
        b"{",
        b"[]",
        b'"x"',
        b"1",
        b'{"gitRef": "\\ud800"}',
        b'{"image": "\\ud800"}',
        b"\xff\xfe",
        b'{"gitRef": 1}',
    ]
    for body in bodies:
        answer = await ada.raw("POST", "/deploy/job/create", content=body, headers={"Content-Type": "application/json"}, **at)
        assert answer.status_code in (400, 403), (body, answer.text)
        assert answer.json()["code"] == answer.status_code
    surrogates = b'{"A\\ud800": "x"}', b'{"A": "\\ud800"}'
    for body in surrogates:
        answer = await ada.raw("PUT", "/app/env", content=body, headers={"Content-Type": "application/json"}, **at)
        assert answer.status_code == 400, (body, answer.text)
    for field in ("userName", "password"):
        body = b'{"userName": "abc", "password": "long enough", "%s": "\\ud800aaaaaaaa"}' % field.encode()
        for path in ("/auth/login", "/auth/register"):
            answer = await ada.raw("POST", path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 401), answer.text
    assert (await ada.raw("POST", "/app/create", content=b"x" * (1024 * 1024 + 1))).status_code == 413


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://console.test"}])
async def test_browsers_of_named_origins_may_read_the_token(tmp_path: Path, headers: dict[str, str]) -> None:
    async with Platform(tmp_path, cors_origins=["https://console.test"]).running() as platform:
        await platform.person("ada")
        body = {"userName": "ada", "password": "correct horse"}
        answer = await platform.http.post(f"{BASE}/auth/login", json=body, headers=headers)
        assert ("Authorization" in answer.headers.get("Access-Control-Expose-Headers", "")) is bool(headers)


async def test_browsers_of_origins_that_a_pattern_names_are_let_in(tmp_path: Path) -> None:
    let_in = ("https://studio.example.com", "https://a.b.example.com", "http://localhost:5173", "http://localhost")
    kept_out = (
        "https://example.com",
        "http://studio.example.com",
        "https://studioXexample.com",
        "https://x@studio.example.com.evil.test",
        "http://localhost:5173.evil.test",
    )
    origins = ["https://*.example.com", "http://localhost:[*]"]
    async with Platform(tmp_path, cors_origins=origins).running() as platform:
        for origin in (*let_in, *kept_out):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = await platform.http.options(f"{BASE}/auth/login", headers=asked)
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if origin in let_in else None)
            assert "Access-Control-Allow-Credentials" not in answer.headers, "the API knows no cookies"


# The sweeps' jitter draws random numbers in another thread while hypothesis watches the generator.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize("mode", [pytest.param(GenerationMode.POSITIVE, marks=only_in_full), GenerationMode.NEGATIVE])
async def test_nothing_thrown_at_it_is_a_crash(tmp_path: Path, mode: GenerationMode) -> None:
    plenty = {"login_attempts": 10_000, "registrations": 100_000, "max_running": 100_000, "max_apps": 100_000}
    async with Platform(tmp_path, **plenty).running() as platform:
        root = await platform.admin()
        await platform.ready(root)
        thrower = Thrower(platform, root, asyncio.get_running_loop())
        await asyncio.to_thread(thrower.throw, platform.api.openapi(), mode)


class Thrower:
    """Every call with what schemathesis makes of its schema, as an admin; the calls run in the platform's own loop."""

    def __init__(self, platform: Platform, person: Person, loop: asyncio.AbstractEventLoop) -> None:
        self.platform, self.person, self.loop = platform, person, loop

    def throw(self, document: dict[str, Any], mode: GenerationMode) -> None:
        schema = schemathesis.openapi.from_dict(document)
        for result in schema.get_all_operations():
            operation = result.ok()
            described = document["paths"][operation.path][operation.method]
            nothing_to_spoil = not (described.get("parameters") or described.get("requestBody"))
            signs_out = operation.path.endswith(("/user/password", "/users/set-password", "/users/set-disabled"))
            if signs_out or (mode is GenerationMode.NEGATIVE and nothing_to_spoil):
                continue

            @settings(
                max_examples=extent(1, 8),
                deadline=None,
                database=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
            def one(case: Any, known: bool) -> None:
                self.send(case.as_transport_kwargs(base_url="http://deploy.test"), known)

            one()

    def send(self, made: dict[str, Any], known: bool) -> None:
        """``known`` asks about the app and the job that exist, so that more than the first check is reached."""
        request = {k: v for k, v in made.items() if k in ("method", "url", "params", "json")}
        if made.get("data") is not None:
            request["content"] = made["data"]
        params = dict(request.get("params") or {})
        params.pop("follow", None)
        if known:
            params |= {k: v for k, v in {"appId": 1, "jobId": 1, "userId": self.person.id}.items() if k in params}
        headers = {k: str(v) for k, v in (made.get("headers") or {}).items() if str(v).isascii() and str(v).isprintable()}
        headers |= {"Authorization": self.person.token, "X-Git-Token": "git-token"}
        calling = self.platform.http.request(**{**request, "params": params}, headers=headers)
        done = asyncio.run_coroutine_threadsafe(calling, self.loop).result(60)
        # The node of this platform has no databases: it is told as an older one, by its name.
        assert done.status_code < 500 or done.json()["reason"] == "AGENT_TOO_OLD", (request, params, done.text)
        if done.headers["content-type"].startswith("application/json"):
            assert done.json()["code"] == done.status_code


async def test_the_page_for_people_names_every_call(platform: Platform) -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    for path in platform.api.openapi()["paths"]:
        short = path.removeprefix(BASE.removeprefix(HOST))
        assert short in page or short.removeprefix("/admin/deploy-nodes") in page, f"docs/api.md does not tell of {short}"


async def test_the_api_tells_what_a_dockerfile_may_be_built_on(platform: Platform) -> None:
    ada = await platform.person("ada-rules")
    rules = await ada.call("GET", "/deploy/build/rules", params={"appId": 7})
    registry, namespace = platform.settings.acr_registry, platform.settings.acr_namespace
    assert rules["registry"] == registry and rules["baseImages"] == platform.settings.base_images
    assert rules["own"] == f"{registry}/{namespace}/u{ada.id}-app7"
