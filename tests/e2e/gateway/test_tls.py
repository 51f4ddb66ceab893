"""HTTPS from a folder of certificates that changes under load."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.tls.certs import self_signed
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to
from tests.e2e.gateway.load import load_on
from tests.parts.waiting import eventually, free_port


def certificate_for(name: str) -> str:
    return self_signed(datetime.now(UTC), name)


async def shown(gateway: HaproxyGateway, name: str) -> tuple[str, int]:
    """Common name and serial number of the certificate that a client asking for ``name`` is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.https_port, ssl=context, server_hostname=name)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    certificate = x509.load_der_x509_certificate(der)
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value), certificate.serial_number


@pytest.fixture
def tls_dir(folder: Path) -> Path:
    path = folder / "certs"
    path.mkdir()
    return path


async def test_https_answers_before_there_is_a_certificate(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, tls_dir: Path
) -> None:
    app = await upstream("1")
    app.answers["/go"] = ("302 Found", ["Location: /login"], b"")
    gateway = await start_gateway(
        [route_to(1, app, generation=3)], https_port=free_port(), tls_dir=tls_dir, tls_poll_seconds=0.05
    )
    https = f"https://127.0.0.1:{gateway.settings.https_port}"
    headers = dict((await client.get(f"{https}/runtime/1/")).json()["headers"])
    assert headers["x-forwarded-proto"] == "https"
    assert (await client.get(f"{https}/runtime/1/go")).headers["location"] == "/runtime/1/login"
    answer = await client.post(f"{gateway.url}/runtime/1/x?y=/1")
    assert (answer.status_code, answer.headers["location"]) == (308, f"{https}/runtime/1/x?y=/1")
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 3)
    assert (await shown(gateway, "a.example"))[0] == "funai-gateway.invalid"
    (tls_dir / "a.pem").write_text(certificate_for("a.example"))

    async def taken_over() -> bool:
        return (await shown(gateway, "a.example"))[0] == "a.example"

    await eventually(taken_over, what="the first real certificate is shown")
    assert (await shown(gateway, "anything.example"))[0] == "a.example"


async def test_certificates_change_under_load_and_nothing_fails(
    start_gateway: StartGateway, upstream: StartUpstream, tls_dir: Path
) -> None:
    app = await upstream("1")
    (tls_dir / "a.pem").write_text(certificate_for("a.example"))
    gateway = await start_gateway([route_to(1, app)], https_port=free_port(), tls_dir=tls_dir, tls_poll_seconds=0.05)
    url = f"https://127.0.0.1:{gateway.settings.https_port}/runtime/1/"
    async with load_on(url, app):
        # Another content of a known name goes in without a new process …
        pid = gateway.pid
        for _ in range(3):
            before = await shown(gateway, "a.example")
            (tls_dir / "a.pem").write_text(certificate_for("a.example"))

            async def renewed(before: tuple[str, int] = before) -> bool:
                return await shown(gateway, "a.example") != before

            await eventually(renewed, what="the renewed certificate is shown")
        assert gateway.pid == pid
        # … half a file changes nothing …
        serial = await shown(gateway, "a.example")
        (tls_dir / "a.pem").write_text(certificate_for("a.example")[:300])
        # … and a new name, certbot's way, needs a new process, which takes over the sockets.
        live = tls_dir / "live" / "b.example"
        live.mkdir(parents=True)
        certificate, key = _split(certificate_for("b.example"))
        (live / "fullchain.pem").write_text(certificate)
        (live / "privkey.pem").write_text(key)

        async def known() -> bool:
            return (await shown(gateway, "b.example"))[0] == "b.example"

        await eventually(known, what="the new name is known")
        await eventually(lambda: gateway.pid != pid, what="the new process is the one")
        assert await shown(gateway, "a.example") == serial


def _split(bundle: str) -> tuple[str, str]:
    cut = bundle.index("-----BEGIN PRIVATE KEY")
    return bundle[:cut], bundle[cut:]


async def test_an_adopted_proxy_gets_the_certificate_of_today(
    start_gateway: StartGateway, upstream: StartUpstream, tls_dir: Path
) -> None:
    (tls_dir / "a.pem").write_text(certificate_for("a.example"))
    port = free_port()
    first = await start_gateway([], https_port=port, tls_dir=tls_dir)
    before = await shown(first, "a.example")
    await first.close()
    (tls_dir / "a.pem").write_text(certificate_for("a.example"))
    second = await start_gateway(https_port=port, tls_dir=tls_dir)
    assert second.adopted
    assert await shown(second, "a.example") != before


async def test_http2_and_old_protocols(start_gateway: StartGateway, upstream: StartUpstream, tls_dir: Path) -> None:
    gateway = await start_gateway([], https_port=free_port(), tls_dir=tls_dir)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.https_port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()
    old = await asyncio.create_subprocess_exec(
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{gateway.settings.https_port}",
        "-tls1_1",
        "-cipher",
        "ALL:@SECLEVEL=0",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert await old.wait() != 0


async def test_acme_challenges_reach_the_acme_client_without_a_redirect(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, tls_dir: Path
) -> None:
    acme = await upstream("acme")
    gateway = await start_gateway(
        [], https_port=free_port(), tls_dir=tls_dir, acme_upstream=f"127.0.0.1:{acme.port}", wildcard_domain="apps.example.com"
    )
    target = "/.well-known/acme-challenge/token-1"
    for host in ("h.example", "7.apps.example.com"):
        said = (await client.get(gateway.url + target, headers={"Host": host})).json()
        assert (said["app"], said["target"]) == ("acme", target)
    assert (await client.get(f"{gateway.url}/runtime/1/")).status_code == 308
    assert (await client.get(f"{gateway.url}/.well-known/acme-challenge/../../runtime/1")).status_code == 308


async def test_without_tls_nothing_is_redirected(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, tls_dir: Path
) -> None:
    app = await upstream("1")
    port = free_port()
    gateway = await start_gateway([route_to(1, app)], https_port=port, tls_dir=tls_dir, https_redirect=False)
    assert (await client.get(f"{gateway.url}/runtime/1/")).status_code == 200
    assert (await client.get(f"https://127.0.0.1:{port}/runtime/1/")).status_code == 200
