"""Logins to a registry: basic, and the token a challenge asks for; a password goes nowhere else."""

from __future__ import annotations

import httpx
import pytest

from funai.base.clients.registry.contract import RegistryFailed, Why
from funai.base.clients.registry.distribution import Manifests
from funai.base.clients.registry.http import Login, RegistryHttp
from funai.contracts.rules import ImageRef


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


async def _get(
    transport: httpx.AsyncBaseTransport, registry: str = "registry.example", *, plain: bool = True
) -> httpx.Response:
    logins = {registry: Login("robot", "secret")}
    http = RegistryHttp(logins, plain=lambda _: plain, http=transport)
    try:
        return await http.call(registry, "GET", "/v2/", ok=(200,))
    finally:
        await http.close()


@pytest.mark.parametrize(
    "realm", ["http://registry.example/token", "http://registry.example:5001/token", "https://auth.example/token"]
)
async def test_a_challenge_is_answered_with_its_token(realm: str) -> None:
    registry = Tokens(realm)
    assert (await _get(registry)).status_code == 200
    token = registry.asked[1]
    assert str(token.url).startswith(realm)
    assert dict(token.url.params) == {"service": "harbor", "scope": "repository:a/b:pull"}
    assert token.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("realm", "plain"),
    [
        ("http://elsewhere.example/token", True),
        ("", True),
        ("not a url at all", True),
        ("ftp://registry.example/token", True),
        ("http://registry.example/token", False),
    ],
)
async def test_a_password_is_not_sent_in_the_clear_to_another_host_or_down_from_tls(realm: str, plain: bool) -> None:
    registry = Tokens(realm)
    with pytest.raises(RegistryFailed, match="401"):
        await _get(registry, plain=plain)
    assert {r.url.host for r in registry.asked} == {"registry.example"} and len(registry.asked) == 1


class Redirects(httpx.AsyncBaseTransport):
    def __init__(self, *there: str) -> None:
        self.there, self.asked = list(there), list[httpx.Request]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.there:
            return httpx.Response(307, headers={"Location": self.there.pop(0)})
        return httpx.Response(200, json={})


async def test_a_redirect_carries_no_login_to_another_host_and_never_leaves_tls() -> None:
    across = Redirects("https://cdn.example/blob")
    assert (await _get(across, plain=False)).status_code == 200
    assert "authorization" in across.asked[0].headers and "authorization" not in across.asked[1].headers
    for down in ("http://registry.example/v2/", "http://cdn.example/", "file:///etc/passwd"):
        with pytest.raises(RegistryFailed) as caught:
            await _get(Redirects(down), plain=False)
        assert caught.value.why is Why.AWAY
    with pytest.raises(RegistryFailed, match="redirects"):
        await _get(Redirects(*["/v2/"] * 9))


HTML = {"Content-Type": "text/html; charset=utf-8"}
FULL = {
    "errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": {"Driver": "filesystem", "Enclosed": {"Err": 28}}}]
}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (httpx.Response(429, json={"errors": [{"code": "TOOMANYREQUESTS", "message": "limit"}]}), Why.LIMITED),
        (httpx.Response(403, headers=HTML, text="<html>Blocked</html>"), Why.NO_REGISTRY),
        (httpx.Response(502, headers=HTML, text="<html>nginx</html>"), Why.NO_REGISTRY),
        (httpx.Response(403, json={"errors": [{"code": "DENIED"}]}), Why.AUTH),
        (httpx.Response(500, json={"errors": [{"code": "UNKNOWN"}]}), Why.AWAY),
        (httpx.Response(500, json=FULL), Why.FULL),
        (httpx.Response(507), Why.FULL),
        (httpx.Response(400, json={"errors": "x"}), Why.REFUSED),
    ],
)
async def test_each_failure_of_a_registry_has_its_name(answer: httpx.Response, why: Why) -> None:
    with pytest.raises(RegistryFailed) as caught:
        await _get(httpx.MockTransport(lambda _: answer))
    assert caught.value.why is why


async def test_a_page_in_place_of_a_manifest_is_no_registry() -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(200, headers=HTML, text="<html>Welcome to the hotel wifi</html>"))
    http = RegistryHttp(plain=lambda _: True, http=page)
    with pytest.raises(RegistryFailed) as caught:
        await Manifests(http).digest(ImageRef("r.example", "lib/x", "1", None))
    assert caught.value.why is Why.NO_REGISTRY
    await http.close()


class Hostile(httpx.AsyncBaseTransport):
    """A registry whose challenge and answers are made to stop their reader."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"WWW-Authenticate": "Bearer " + "a" * 60_000, "Content-Type": "application/json"}
        return httpx.Response(401, headers=headers, content=b"[" * 500_000)


async def test_a_challenge_and_errors_made_to_be_read_forever_are_a_refusal() -> None:
    with pytest.raises(RegistryFailed) as failed:
        await _get(Hostile())
    assert failed.value.why is Why.AUTH
