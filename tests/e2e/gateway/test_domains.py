"""Names of apps' own on real HAProxy, certified by a real ACME authority."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from funai.contracts.apps.domains import DomainReport, DomainRoute, DomainState
from funai.contracts.reasons import DomainTrouble
from funai.gateway.domains.keeper import Pace
from funai.gateway.domains.records import Record, Records
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.tls.certs import self_signed
from tests.e2e.gateway.conftest import SettingsFor, StartUpstream, route_to
from tests.parts.pebble import Names, Pebble, certificate, limited_authority
from tests.parts.waiting import eventually, free_port

SHOP, BLOG = "shop.example.com", "blog.example.org"
QUICK = Pace(dns=0.2, away=0.2, away_longest=0.5)


@pytest.fixture(scope="module")
def names(workspace: Callable[[str], Path]) -> Iterator[Names]:
    part = Names(workspace("names"))
    part.start()
    yield part
    part.kill()


@pytest.fixture(scope="module")
def pebble(workspace: Callable[[str], Path], names: Names) -> Iterator[tuple[Pebble, int]]:
    """With the port at which it asks for challenges."""
    port = free_port()
    part = Pebble(workspace("pebble"), names, port)
    part.start()
    yield part, port
    part.kill()


class Site:
    """A gateway with HTTPS and this authority, started and ended as often as a test likes."""

    def __init__(self, settings_for: SettingsFor, names: Names, directory: str, ca_file: Path, port: int) -> None:
        self.https = free_port()
        self.settings = settings_for(
            port=port,
            https_port=self.https,
            acme_directory_url=directory,
            acme_ca_file=ca_file,
            domain_resolver=names.server,
            domain_addresses=["127.0.0.1"],
        )
        self._gateway: HaproxyGateway | None = None

    @property
    def gateway(self) -> HaproxyGateway:
        assert self._gateway is not None
        return self._gateway

    async def start(self, app: StartUpstream) -> None:
        gateway = self._gateway = HaproxyGateway(self.settings, pace=QUICK)
        await gateway.start([route_to(i, await app(f"app{i}"), generation=i) for i in (1, 2)])

    def assign(self, *routes: tuple[str, int]) -> None:
        assert self.gateway.domains is not None
        self.gateway.domains.assign(DomainRoute(name=name, app_id=app) for name, app in routes)

    def report(self, name: str) -> DomainReport:
        assert self.gateway.domains is not None
        return next(r for r in self.gateway.domains.reports() if r.name == name)

    async def reaches(self, name: str, state: DomainState, reason: str | None = None) -> DomainReport:
        def there() -> bool:
            return (self.report(name).state, self.report(name).reason) == (state, reason)

        await eventually(there, seconds=30, what=f"{name} is {state} {reason}")
        return self.report(name)

    async def shown(self, name: str) -> x509.Certificate:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", self.https, ssl=context, server_hostname=name)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der)

    async def issuer(self, name: str) -> str:
        return (await self.shown(name)).issuer.rfc4514_string()


@pytest.fixture
async def site(settings_for: SettingsFor, names: Names, pebble: tuple[Pebble, int]) -> AsyncIterator[Site]:
    authority, port = pebble
    made = Site(settings_for, names, authority.directory, authority.ca_file, port)
    yield made
    await made.gateway.stop(0)


async def get(site: Site, client: httpx.AsyncClient, name: str, path: str = "/") -> httpx.Response:
    return await client.get(f"https://127.0.0.1:{site.https}{path}", headers={"Host": f"{name}:{site.https}"})


async def test_a_domain_is_certified_and_served_without_a_new_process(
    site: Site, upstream: StartUpstream, client: httpx.AsyncClient, folder: Path
) -> None:
    await site.start(upstream)
    pid = site.gateway.pid
    site.assign((SHOP, 1))
    told = await site.reaches(SHOP, DomainState.ACTIVE)
    assert told.url == f"https://{SHOP}:{site.https}/"
    assert told.not_after
    assert told.not_after > datetime.now(UTC)
    assert "Pebble" in await site.issuer(SHOP)
    seen = (await get(site, client, SHOP, "/runtime/2/x")).json()
    assert (seen["app"], seen["target"]) == ("app1", "/runtime/2/x")
    assert (await client.get(site.gateway.url, headers={"Host": SHOP.upper() + "."})).headers["location"].startswith("https://")
    # A second name comes, and the first goes: neither needs another process.
    site.assign((SHOP, 1), (BLOG, 2))
    await site.reaches(BLOG, DomainState.ACTIVE)
    assert (await get(site, client, BLOG)).json()["app"] == "app2"
    site.assign((BLOG, 2))

    async def gone() -> bool:
        return (await get(site, client, SHOP)).status_code == 404

    await eventually(gone, what="the name that was taken away is unknown")

    async def withdrawn() -> bool:
        return "Pebble" not in await site.issuer(SHOP)

    await eventually(withdrawn, what="its certificate is gone")
    assert site.gateway.pid == pid
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in (folder / "gw" / "acme").rglob("*") if f.is_file()}
    assert {"account.key", f"{BLOG}.pem", "domains.json"} == modes.keys()
    assert set(modes.values()) == {0o600}
    # The next owner of the running proxy goes on with what there is, and asks the authority for nothing.
    serial = (await site.shown(BLOG)).serial_number
    await site.gateway.close()
    await site.start(upstream)
    assert site.gateway.adopted
    await site.reaches(BLOG, DomainState.ACTIVE)
    assert (await site.shown(BLOG)).serial_number == serial


async def test_an_order_cut_off_by_a_restart_is_made_again(site: Site, upstream: StartUpstream) -> None:
    await site.start(upstream)
    site.assign((SHOP, 1))
    await site.reaches(SHOP, DomainState.ISSUING)
    await site.gateway.close()
    await site.start(upstream)
    site.assign((SHOP, 1))
    await site.reaches(SHOP, DomainState.ACTIVE)


async def test_a_name_that_leads_elsewhere_is_told_and_served_once_it_leads_here(
    site: Site, upstream: StartUpstream, names: Names
) -> None:
    names.lead(BLOG, "127.0.0.9")
    await site.start(upstream)
    site.assign((BLOG, 1))
    told = await site.reaches(BLOG, DomainState.DNS_WRONG, DomainTrouble.DNS_ELSEWHERE)
    assert told.details == {"name": BLOG, "found": "127.0.0.9", "expected": "127.0.0.1"}
    names.forget(BLOG)
    await site.reaches(BLOG, DomainState.ACTIVE)


async def test_an_old_certificate_serves_while_the_authority_is_away_and_is_renewed_after(
    site: Site, upstream: StartUpstream, pebble: tuple[Pebble, int], client: httpx.AsyncClient, folder: Path
) -> None:
    records = Records(folder / "gw" / "acme")
    records.load()
    old = self_signed(datetime(2017, 2, 1, tzinfo=UTC), SHOP)  # ten years: a third is not left any more
    records.keep(SHOP, old)
    records.known[SHOP] = Record(name=SHOP, app_id=1, state=DomainState.ACTIVE, served=True)
    records.save()
    authority, _ = pebble
    authority.stop()
    try:
        await site.start(upstream)
        told = await site.reaches(SHOP, DomainState.ACTIVE, DomainTrouble.AUTHORITY_AWAY)
        assert told.next_try_at
        assert (await site.shown(SHOP)).subject == x509.load_pem_x509_certificate(old.encode()).subject
        assert (await get(site, client, SHOP)).json()["app"] == "app1"
    finally:
        authority.start()
    await site.reaches(SHOP, DomainState.ACTIVE)
    assert "Pebble" in await site.issuer(SHOP)


async def test_a_rate_limit_is_told_in_the_authority_s_words_and_waited_for(
    settings_for: SettingsFor, names: Names, upstream: StartUpstream, folder: Path
) -> None:
    ca_file = certificate(folder / "ca.pem")
    async with limited_authority(ca_file, "too many certificates (5) already issued") as directory:
        site = Site(settings_for, names, directory, ca_file, free_port())
        await site.start(upstream)
        try:
            site.assign((SHOP, 1))
            told = await site.reaches(SHOP, DomainState.FAILED, DomainTrouble.RATE_LIMITED)
            assert told.details["detail"] == "too many certificates (5) already issued"
            assert told.next_try_at
            assert (told.next_try_at - datetime.now(UTC)).total_seconds() > 3_000
            assert site.gateway.domains is not None
            site.gateway.domains.assign([DomainRoute(name=SHOP, app_id=1, asked=1)])
            assert site.report(SHOP).next_try_at == told.next_try_at
        finally:
            await site.gateway.stop(0)
