"""One deployed app at all its addresses: its domain with a certificate, its host name, its path."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from funai.contracts.apps.domains import Domain, DomainState
from funai.contracts.states import JobStatus
from funai.gateway.tls.certs import self_signed
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.up.browser import chromium
from tests.e2e.up.world import DOCKERFILE, Person, Platform
from tests.parts.extent import only_in_full
from tests.parts.pebble import Names, Pebble
from tests.parts.waiting import eventually, free_port

SHOP = "shop.example.com"
SERVER = """
const http = require('http'), crypto = require('crypto');
const page = `<!doctype html><title>start</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">
<p id="said">loading</p><form method="post" action="/send"><button id="send">send</button></form>
<script src="/main.js"></script>`;
const main = `fetch('/list').then(r => r.json()).then(v => { document.getElementById('said').textContent = v.join(' '); });`;
const answers = {
  '/': ['text/html', page],
  '/style.css': ['text/css', 'body { color: rgb(1, 2, 3) }'],
  '/main.js': ['text/javascript', main],
  '/list': ['application/json', '["a","b"]'],
  '/thanks': ['text/html', '<!doctype html><title>thanks</title><link rel="icon" href="data:,">'],
};
http.createServer((q, s) => {
  if (q.method === 'POST' && q.url === '/send') return s.writeHead(303, { location: '/thanks' }).end();
  const [kind, text] = answers[q.url] ?? ['', ''];
  return s.writeHead(kind ? 200 : 404, { 'content-type': kind || 'text/plain' }).end(text);
}).on('upgrade', (q, socket) => {
  const key = crypto.createHash('sha1').update(q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
    + `Sec-WebSocket-Accept: ${key.digest('base64')}\\r\\n\\r\\n`);
  socket.write(Buffer.from([0x81, 2, 0x68, 0x69]));
}).listen(3000);
"""
SOCKET = """path => new Promise(done => {
  const socket = new WebSocket(`${location.protocol.replace('http', 'ws')}//${location.host}${path}`);
  socket.onmessage = said => { done(said.data); socket.close(); };
  socket.onerror = () => done('no socket');
})"""
LOADED = "document.getElementById('said')?.textContent == 'a b'"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="funai-e2e-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def certified(machine_engine: EngineChoice, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform with a certificate of the operator's for itself, and Pebble for apps' domains."""
    platform = Platform(folder / "data", machine_engine)
    names = Names(folder)
    pebble = Pebble(folder, names, platform.ports.gateway)
    file = folder / "own.pem"
    file.write_text(self_signed(datetime.now(UTC), "127.0.0.1"))
    config = folder / "funai.toml"
    config.write_text(
        f'[https]\ncertificate = "{file}"\nkey = "{file}"\nport = {free_port()}\napi_port = {free_port()}\n'
        f'acme_directory = "{pebble.directory}"\nacme_ca_file = "{pebble.ca_file}"\n'
    )
    monkeypatch.setenv("GATEWAY_DOMAIN_RESOLVER", names.server)
    try:
        names.start()
        pebble.start()
        platform.start("--config", str(config))
        yield platform
    finally:
        platform.destroy()
        pebble.kill()
        names.kill()


@pytest.fixture
async def person(certified: Platform) -> AsyncIterator[Person]:
    someone = await certified.person("shopkeeper")
    yield someone
    await someone.api.close()


def issuer(host: str, port: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).issuer.rfc4514_string()


async def served(person: Person, app_id: int) -> Domain:
    async def active() -> Domain | None:
        found = (await person.api.domains(person.user_id, app_id))[0]
        return found if found.state is DomainState.ACTIVE else None

    found = await eventually(active, seconds=60, what=f"{SHOP} is served")
    assert found is not None
    return found


@only_in_full
async def test_app_works_at_its_domain_its_host_name_and_its_path(person: Person) -> None:
    app = await person.app("shop", {"server.js": SERVER, "Dockerfile": DOCKERFILE})
    job = await person.deploy(app)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    await person.api.add_domain(person.user_id, app.id, SHOP)
    domain = await served(person, app.id)

    async def given() -> bool:
        return (await person.info(app)).access_url == domain.url

    await eventually(given, seconds=30, what="people are given the domain")
    port = int(str(domain.url).rsplit(":", 1)[1].strip("/"))
    assert "Pebble" in await asyncio.to_thread(issuer, SHOP, port)
    forms = {str(domain.url): "", f"https://{app.id}.apps.localhost:{port}/": "", str(job.deploy_url): f"/runtime/{app.id}"}
    async with chromium(f"--host-resolver-rules=MAP {SHOP} 127.0.0.1", ignore_https_errors=True) as watched:
        page = await watched.page()
        for url, base in forms.items():
            await page.goto(url)
            await page.wait_for_function(LOADED)
            assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
            assert await page.evaluate(SOCKET, f"{base}/chat") == "hi"
            await page.click("#send")
            await page.wait_for_function("document.title == 'thanks'")
            assert page.url == f"{url}thanks"
        watched.check()
