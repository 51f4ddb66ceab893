"""A real ACME authority (Pebble) with a DNS server of its own, and one that is only ever over its rate limit."""

from __future__ import annotations

import json
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from funai.gateway.tls.certs import self_signed
from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port, tcp_answers

PROGRAM, DNS_PROGRAM = "pebble", "pebble-challtestsrv"


class Names(Daemon):
    """Any name leads to 127.0.0.1 but for those that were set otherwise. ``server`` is ``address:port``."""

    def __init__(self, workspace: Path) -> None:
        self.server, self._management = f"127.0.0.1:{free_port()}", free_port()
        off = [f"-{kind}=" for kind in ("http01", "https01", "tlsalpn01", "defaultIPv6")]
        argv = [DNS_PROGRAM, f"-dns01={self.server}", f"-management=127.0.0.1:{self._management}", *off]
        super().__init__(
            "names",
            [*argv, "-defaultIPv4=127.0.0.1"],
            log=workspace / "names.log",
            ready=lambda: tcp_answers(self._management),
        )

    def lead(self, name: str, address: str) -> None:
        """Give the name this address alone."""
        self._say("add-a", {"host": f"{name}.", "addresses": [address]})

    def forget(self, name: str) -> None:
        """Back to 127.0.0.1."""
        self._say("clear-a", {"host": f"{name}."})

    def _say(self, what: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._management}/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


class Pebble(Daemon):
    """``directory`` is its address, ``ca_file`` what its HTTPS is trusted by. It asks for HTTP-01 at ``http_port``."""

    def __init__(self, workspace: Path, names: Names, http_port: int) -> None:
        self._port = free_port()
        self.directory = f"https://localhost:{self._port}/dir"
        self.ca_file, config = workspace / "pebble-ca.pem", workspace / "pebble.json"
        certificate(self.ca_file)
        settings = {
            "listenAddress": f"127.0.0.1:{self._port}",
            "managementListenAddress": f"127.0.0.1:{free_port()}",
            "certificate": str(self.ca_file),
            "privateKey": str(self.ca_file),
            "httpPort": http_port,
            "tlsPort": free_port(),
        }
        config.write_text(json.dumps({"pebble": settings}))
        super().__init__(
            "pebble",
            [PROGRAM, "-strict", "-config", config, "-dnsserver", names.server],
            log=workspace / "pebble.log",
            ready=lambda: tcp_answers(self._port),
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"},
        )

    @property
    def issued(self) -> int:
        """Certificates that it has issued in its life."""
        return self.log.read_text().count("Issued certificate serial")


def certificate(file: Path) -> Path:
    """A certificate for ``localhost`` with its key in one file."""
    file.write_text(self_signed(datetime.now(UTC), "localhost"))
    return file


@asynccontextmanager
async def limited_authority(ca_file: Path, detail: str) -> AsyncIterator[str]:
    """An authority that takes accounts and refuses every order: no real one can be brought there at will. Its directory."""
    port = free_port()
    base = f"https://localhost:{port}"

    async def answer(request: web.Request) -> web.Response:
        nonce = {"Replay-Nonce": os.urandom(8).hex()}
        if request.path == "/dir":
            urls = {name: f"{base}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
            return web.json_response(urls)
        if request.path == "/newAccount":
            return web.json_response({"status": "valid"}, status=201, headers={**nonce, "Location": f"{base}/account/1"})
        if request.path == "/newOrder":
            problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": detail, "status": 429}
            return web.json_response(problem, status=429, headers=nonce, content_type="application/problem+json")
        return web.Response(headers=nonce)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file)
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield f"{base}/dir"
    finally:
        await runner.cleanup()
