"""A registry that a Dockerfile names may be anybody's: its answers are bounded in time and size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from funai.base.clients.registry import fence
from funai.base.clients.registry import http as module
from funai.base.clients.registry.fence import FencedTransport, PrivateAddress
from funai.base.proxies import Proxies
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef
from funai.runner.failures import JobFailed
from funai.runner.publish.registry import Registry

CHALLENGE = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="http://{host}/token",service="s"\r\nContent-Length: 0\r\n\r\n'
DIGEST = f"sha256:{'0' * 64}"
Answer = Callable[[str, str], list[bytes]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    """A server that sends what ``answer(request line, host)`` says piece by piece, the last one again and again."""
    busy: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        busy.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                pieces = answer(head.decode().split("\r\n")[0], host)
                for piece in pieces:
                    writer.write(piece)
                while len(pieces) > 1:
                    writer.write(pieces[-1])
                    await writer.drain()
                    await asyncio.sleep(0.01)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # asyncio logs a connection whose task was cancelled as an error
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


def token(body: bytes) -> Answer:
    """Asks for a token and answers this when one is fetched."""
    return lambda line, host: [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        if "/token" in line
        else CHALLENGE.format(host=host).encode()
    ]


def endless(line: str, host: str) -> list[bytes]:
    if "/token" not in line:
        return [CHALLENGE.format(host=host).encode()]
    return [b"HTTP/1.1 302 Found\r\nLocation: /token\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 1024 * 1024]


def dripping(line: str, host: str) -> list[bytes]:
    return [b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"]


@pytest.mark.parametrize("answer", [token(b"not json"), token(b"[]"), token(b'{"token": "a\\nb"}'), token(b"x" * 100_000)])
async def test_a_token_that_is_none_is_a_refusal(answer: Answer) -> None:
    assert await code(answer) in (FailureCode.REGISTRY_AUTH, FailureCode.REGISTRY_UNREACHABLE)


@pytest.mark.parametrize("answer", [endless, dripping])
async def test_an_answer_without_an_end_has_one(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.3)
    async with asyncio.timeout(60):
        assert await code(answer) is FailureCode.REGISTRY_UNREACHABLE


async def test_a_redirect_is_followed() -> None:
    def elsewhere(line: str, host: str) -> list[bytes]:
        return [f"HTTP/1.1 200 OK\r\nDocker-Content-Digest: {DIGEST}\r\nContent-Length: 0\r\n\r\n".encode()]

    async with answering(elsewhere) as there:

        def here(line: str, host: str) -> list[bytes]:
            return [f"HTTP/1.1 307 Go\r\nLocation: http://{there}/x\r\nContent-Length: 0\r\n\r\n".encode()]

        async with answering(here) as host, client(host, there) as registry:
            assert await registry.digest(ImageRef(host, "a/b", "1", None)) == DIGEST


@pytest.mark.parametrize("way", ["redirect", "realm", "resolved"])
async def test_no_answer_leads_to_an_address_that_the_operator_did_not_name(way: str) -> None:
    asked = list[str]()

    def inner(line: str, host: str) -> list[bytes]:
        asked.append(line)
        return [b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"token": "stole"}']

    async with answering(inner) as secret:

        def outer(line: str, host: str) -> list[bytes]:
            if way == "redirect":
                return [f"HTTP/1.1 307 Go\r\nLocation: http://{secret}/x\r\nContent-Length: 0\r\n\r\n".encode()]
            return [CHALLENGE.format(host=secret).encode()]

        async with answering(outer) as host:
            trusted = () if way == "resolved" else (host,)
            name = host.replace("127.0.0.1", "localhost.localdomain.") if way == "resolved" else host
            async with client(*trusted) as registry:
                with pytest.raises(JobFailed) as caught:
                    await registry.digest(ImageRef(name, "a/b", "1", None))
    assert asked == [] and not (caught.value.again and caught.value.code is FailureCode.REGISTRY_UNREACHABLE)


async def test_a_name_is_resolved_once_and_every_address_of_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = FencedTransport([], Proxies({}))
    loop = asyncio.get_running_loop()
    for found in (["10.0.0.1"], ["1.1.1.1", "169.254.169.254"], ["::ffff:127.0.0.1"], ["64:ff9b::a00:1"], ["fd00::1"], []):

        async def resolve(*_: object, found: list[str] = found, **__: object) -> list[tuple[object, ...]]:
            return [(0, 0, 0, "", (address, 443)) for address in found]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        with pytest.raises(PrivateAddress):
            await transport.handle_async_request(httpx.Request("GET", "https://registry.example/v2/"))
        assert await transport.leads_inside("registry.example", 443)
    transport.trust("registry.example")
    assert not await transport.leads_inside("registry.example", 443)
    await transport.aclose()


async def code(answer: Answer) -> FailureCode:
    async with answering(answer) as host, client(host) as registry:
        with pytest.raises(JobFailed) as caught:
            await registry.digest(ImageRef(host, "a/b", "1", None))
    return caught.value.code


@asynccontextmanager
async def client(*trusted: str) -> AsyncIterator[Registry]:
    registry = Registry(None, frozenset(), trusted=frozenset(trusted))
    try:
        yield registry
    finally:
        await registry.close()


async def test_the_address_that_was_looked_at_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = list[str]()

    def answer(line: str, host: str) -> list[bytes]:
        return [f"HTTP/1.1 200 OK\r\nDocker-Content-Digest: {DIGEST}\r\nContent-Length: 0\r\n\r\n".encode()]

    async def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        heads.append(host)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    def yes(*_: object) -> bool:
        return True

    async with answering(answer) as host:
        monkeypatch.setattr(fence, "is_public", yes)
        name = host.replace("127.0.0.1", "registry.example")
        registry = Registry(None, frozenset([]), trusted=frozenset())
        monkeypatch.setattr("funai.runner.publish.registry.is_insecure", yes)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        assert await registry.digest(ImageRef(name, "a/b", "1", None)) == DIGEST
        await registry.close()
    assert heads[0] == "registry.example" and set(heads) <= {"registry.example", "127.0.0.1"}
