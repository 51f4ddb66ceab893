"""Holds every request and answer of a test against a published OpenAPI document, a part of which is kept beside this."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import jsonschema

FOLDER = Path(__file__).parent / "published"
GUARD = (401, 403)
"""A service's guard answers them before any call is reached, hence not all calls list them."""
Answer = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Published(httpx.AsyncBaseTransport):
    """A transport: checks the request, has ``answer`` answer it, checks the answer. ``faults`` keeps what didn't hold.

    ``beyond`` are statuses that the service gives and its document leaves out, by ``METHOD /template``.
    """

    def __init__(self, name: str, answer: Answer, *, beyond: Mapping[str, set[int]] | None = None) -> None:
        self.document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
        self.answer, self.beyond = answer, beyond or {}
        self.faults: list[str] = []
        self.asked: list[str] = []
        """``METHOD /template`` of every request, in order."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        template, operation = self._operation(request)
        what = f"{request.method} {template}"
        self.asked.append(what)
        self._check_request(what, operation, request)
        response = await self.answer(request)
        await response.aread()
        if response.status_code < 500 and response.status_code not in GUARD:
            self._check_response(what, operation, response)
        response.request = request
        return response

    def _operation(self, request: httpx.Request) -> tuple[str, dict[str, Any]]:
        path = request.url.raw_path.decode().partition("?")[0].removeprefix(self.document["basePath"])
        for template, methods in self.document["paths"].items():
            pattern = re.sub(r"\\\{(\w+)\\\}", r"([^/]+)", re.escape(template))
            if template.endswith("{filepath}"):
                pattern = pattern.removesuffix("([^/]+)") + "(.+)"
            if re.fullmatch(pattern, path) and request.method.lower() in methods:
                return template, methods[request.method.lower()]
        raise AssertionError(f"{request.method} {unquote(path)} is no call of {self.document['info']['title']}")

    def _check_request(self, what: str, operation: dict[str, Any], request: httpx.Request) -> None:
        parameters = [self._resolved(p) for p in operation["parameters"]]
        known = {p["name"] for p in parameters if p["in"] == "query"}
        self._hold(set(request.url.params) <= known, f"{what}: unknown query {set(request.url.params) - known}")
        body = next((p for p in parameters if p["in"] == "body"), None)
        if not request.content:
            self._hold(not (body and body.get("required")), f"{what}: the body is missing")
        elif body is None:
            self._hold(False, f"{what}: takes no body")
        else:
            self._validate(f"{what}: request", body["schema"], json.loads(request.content), closed=True)

    def _check_response(self, what: str, operation: dict[str, Any], response: httpx.Response) -> None:
        status = str(response.status_code)
        if status not in operation["responses"]:
            beyond = response.status_code in self.beyond.get(what, set())
            self._hold(beyond, f"{what}: {status} is no answer of this call")
            return
        schema = self._resolved(operation["responses"][status]).get("schema")
        if schema and response.content:
            self._validate(f"{what}: {status}", schema, response.json(), closed=False)

    def _validate(self, what: str, schema: dict[str, Any], value: Any, *, closed: bool) -> None:
        """``closed``: a field that the document doesn't have is a fault; services ignore what they don't know."""
        definitions = self.document["definitions"]
        if closed:
            definitions = {n: {"additionalProperties": False, **d} if "properties" in d else d for n, d in definitions.items()}
        checker = jsonschema.Draft4Validator({**schema, "definitions": definitions})
        faults: list[Any] = list(checker.iter_errors(value))  # pyright: ignore[reportUnknownMemberType]
        for error in faults:
            self._hold(False, f"{what}: {'/'.join(map(str, error.absolute_path))}: {error.message}")

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        _, section, name = node["$ref"].split("/")
        return self.document[section][name]

    def _hold(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)
            raise AssertionError(fault)
