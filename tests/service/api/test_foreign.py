"""A stranger's ids in every call that the API's own document names, whatever is added to it later."""

from __future__ import annotations

from typing import Any

from tests.service.api.platform import Person, Platform

NOWHERE = 10**15
OWN = ("/auth/", "/user/", "/rules", "/app/create", "/app/list", "/job/list")
"""Calls that are about nothing but the caller, or not a user's at all."""


def body_of(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    """The smallest body that the schema takes; None where the call has none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else example(document, content["schema"])


def example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return example(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return example(document, schema["anyOf"][0])
    match schema.get("type"):
        case "object":
            known = schema.get("properties", {})
            return {name: example(document, known.get(name, {})) for name in schema.get("required", [])}
        case "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "array":
            return []
        case _:
            return schema.get("enum", ["abcdefgh"])[0]


def with_ids(
    operation: dict[str, Any], body: dict[str, Any] | None, ids: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Query and body of a call about these ids."""
    taken = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    query = {p["name"]: ids.get(p["name"], "1") for p in taken if p["name"] in ids or p.get("required")}
    return query, None if body is None else {name: ids.get(name, value) for name, value in body.items()}


async def told(person: Person, method: str, path: str, query: dict[str, Any], body: dict[str, Any] | None) -> tuple[int, str]:
    more = {} if body is None else {"json": body}
    answer = await person.raw(method.upper(), path, params=query, **more)
    return answer.status_code, str(answer.json()["reason"]) if answer.status_code != 200 else "OK"


async def test_every_call_about_a_strangers_app_or_job_is_answered_as_for_one_that_is_nowhere(platform: Platform) -> None:
    ada, bob = await platform.person("ada"), await platform.person("bob")
    app_id = await ada.app()
    job = await ada.deploy(app_id)
    theirs, nowhere = {"appId": app_id, "jobId": job["id"]}, {"appId": NOWHERE, "jobId": NOWHERE}
    document, seen = platform.api.openapi(), 0
    for full, calls in document["paths"].items():
        path = full.removeprefix("/api/fun-ai")
        if path == full or any(word in path for word in OWN) or "{" in path:
            continue
        for method, operation in calls.items():
            body = body_of(document, operation)
            foreign = await told(bob, method, path, *with_ids(operation, body, theirs))
            missing = await told(bob, method, path, *with_ids(operation, body, nowhere))
            acting = await told(bob, method, path, *with_ids(operation, body, theirs | {"userId": ada.id}))
            if "/admin/" in path or "/internal/" in path:
                assert foreign[0] in (400, 401, 403), (method, path, foreign)
                continue
            if not any(p["name"] in theirs for p in operation.get("parameters", [])):
                continue
            seen += 1
            assert foreign == missing, (method, path)
            assert foreign[0] in (400, 404), (method, path, foreign)
            assert acting[0] in (400, 403, 404), (method, path, acting)
    assert seen > 10
    assert await ada.status(app_id) == 2
