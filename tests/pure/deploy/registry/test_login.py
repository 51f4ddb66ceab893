"""Logins to a registry: basic, and the token a challenge asks for; a password goes nowhere else."""

from __future__ import annotations

import httpx
import pytest

from funai.deploy.registry.contract import RegistryFailed
from funai.deploy.registry.http import RegistryHttp


class Tokens(httpx.AsyncBaseTransport):
    """A registry that wants a token from ``realm``."""

    def __init__(self, realm: str) -> None:
        self.realm = realm
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/token":
            return httpx.Response(200, json={"token": "granted"})
        if request.headers.get("authorization") == "Bearer granted":
            return httpx.Response(200, json={})
        challenge = f'Bearer realm="{self.realm}",service="harbor",scope="repository:a/b:pull"'
        return httpx.Response(401, headers={"WWW-Authenticate": challenge}, json={"errors": [{"code": "UNAUTHORIZED"}]})


async def _get(transport: httpx.AsyncBaseTransport, base: str = "http://registry.example") -> httpx.Response:
    http = RegistryHttp(base, "robot", "secret", timeout=5, http=transport)
    try:
        return await http.call("GET", "/v2/", ok=(200,))
    finally:
        await http.close()


@pytest.mark.parametrize("realm", ["http://registry.example/token", "https://auth.example/token"])
async def test_a_challenge_is_answered_with_its_token(realm: str) -> None:
    registry = Tokens(realm)
    assert (await _get(registry)).status_code == 200
    token = registry.asked[1]
    assert str(token.url).startswith(realm)
    assert dict(token.url.params) == {"service": "harbor", "scope": "repository:a/b:pull"}
    assert token.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("realm", ["http://elsewhere.example/token", "", "not a url at all"])
async def test_a_password_is_not_sent_in_the_clear_to_another_host(realm: str) -> None:
    registry = Tokens(realm)
    with pytest.raises(RegistryFailed, match="401"):
        await _get(registry)
    assert {r.url.host for r in registry.asked} == {"registry.example"}
