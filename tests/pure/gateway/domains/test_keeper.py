"""Names on their way into service: when what is tried again, and what an old certificate is worth meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from funai.contracts.apps.domains import DomainReport, DomainRoute, DomainState
from funai.contracts.reasons import DomainTrouble
from funai.contracts.routes import GatewayError
from funai.gateway.domains.authority import IssueFailed
from funai.gateway.domains.keeper import Address, DomainKeeper, Pace, address_of
from funai.gateway.domains.lookup import Elsewhere
from funai.gateway.domains.records import Records
from funai.gateway.settings import GatewaySettings
from funai.gateway.tls.certs import names_of, self_signed
from tests.parts.waiting import eventually

SHOP = "shop.example.com"
AWAY = IssueFailed(DomainTrouble.AUTHORITY_AWAY, "ConnectTimeout")
LIMITED = IssueFailed(DomainTrouble.RATE_LIMITED, "too many")


class Around:
    """The world about a keeper: a clock that a test sets, DNS and an authority that answer as it likes, and a proxy."""

    def __init__(self, folder: Path) -> None:
        self.now = datetime(2026, 11, 26, tzinfo=UTC)
        self.elsewhere = False
        self.answers: list[IssueFailed] = []
        """What the authority says next; without any it issues."""
        self.orders = 0
        self.hosts: dict[str, str] = {}
        self.proxy_down = False
        self.named: set[str] = set()
        self.records = Records(folder)

    async def check(self, name: str) -> None:
        if self.elsewhere:
            raise Elsewhere(DomainTrouble.DNS_ELSEWHERE, name=name, found="192.0.2.9", expected="192.0.2.1")

    async def obtain(self, name: str) -> str:
        self.orders += 1
        if self.answers:
            raise self.answers.pop(0)
        return self_signed(self.now, name)

    async def route(self, hosts: dict[str, str]) -> None:
        if self.proxy_down:
            raise GatewayError("no proxy")
        self.hosts = hosts

    async def certify(self) -> None: ...

    def covered(self, name: str) -> bool:
        return name in self.named

    @asynccontextmanager
    async def keeper(self, *, authority: bool = True, **fields: object) -> AsyncIterator[DomainKeeper]:
        settings = GatewaySettings.model_validate({"https_port": 443, "wildcard_domain": "apps.example.net", **fields})
        self.records.load()
        made = DomainKeeper(
            settings,
            self.records,
            self,
            self,
            self if authority else None,
            now=lambda: self.now,
            pace=Pace(),  # type: ignore[arg-type]
        )
        task = asyncio.create_task(made.run())
        try:
            yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def pass_by(self, keeper: DomainKeeper, **time: float) -> None:
        """Time passes, and the keeper notices."""
        self.now += timedelta(**time)
        keeper.assign([DomainRoute(name=r.name, app_id=r.app_id) for r in keeper.reports()])


@pytest.fixture
def around(tmp_path: Path) -> Around:
    return Around(tmp_path / "acme")


async def reaches(keeper: DomainKeeper, state: DomainState, reason: str | None = None) -> DomainReport:
    def found() -> DomainReport | None:
        return next((r for r in keeper.reports() if (r.state, r.reason) == (state, reason)), None)

    report = await eventually(found, what=f"{state} {reason}")
    assert report is not None
    return report


async def test_a_name_is_routed_once_it_is_certified_and_forgotten_with_its_certificate(around: Around) -> None:
    async with around.keeper() as keeper:
        around.elsewhere = True
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        told = await reaches(keeper, DomainState.DNS_WRONG, DomainTrouble.DNS_ELSEWHERE)
        assert told.details["found"] == "192.0.2.9"
        assert (around.orders, around.hosts) == (0, {})
        around.elsewhere = False
        keeper.assign([DomainRoute(name=SHOP, app_id=7, asked=1)])  # its owner asks for another look
        assert (await reaches(keeper, DomainState.ACTIVE)).url == f"https://{SHOP}/"
        assert around.hosts == {SHOP: "7"}
        assert around.records.path(SHOP).stat().st_mode & 0o777 == 0o600
        keeper.assign([DomainRoute(name="shop-ada", app_id=7, alias=True)])
        await eventually(lambda: around.hosts == {"shop-ada.apps.example.net": "7"})
        assert not around.records.path(SHOP).exists()


async def test_pauses_grow_and_a_rate_limit_is_not_cut_short_by_its_owner(around: Around) -> None:
    around.answers = [AWAY, AWAY, LIMITED]
    async with around.keeper() as keeper:
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        pauses = []
        for _ in range(2):
            told = await reaches(keeper, DomainState.FAILED, DomainTrouble.AUTHORITY_AWAY)
            assert told.next_try_at
            pauses.append((told.next_try_at - around.now).total_seconds())
            seen = around.orders
            await around.pass_by(keeper, seconds=pauses[-1])
            await eventually(lambda seen=seen: around.orders > seen)
        assert pauses == [30, 60]
        told = await reaches(keeper, DomainState.FAILED, DomainTrouble.RATE_LIMITED)
        assert told.next_try_at == around.now + timedelta(hours=1)
        keeper.assign([DomainRoute(name=SHOP, app_id=7, asked=5)])
        assert (await reaches(keeper, DomainState.FAILED, DomainTrouble.RATE_LIMITED)).next_try_at == told.next_try_at
        await around.pass_by(keeper, hours=1)
        await reaches(keeper, DomainState.ACTIVE)
        assert around.orders == 4


async def test_a_certificate_is_renewed_in_time_and_the_old_one_serves_until_then(around: Around) -> None:
    async with around.keeper() as keeper:
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        first = (await reaches(keeper, DomainState.ACTIVE)).not_after
        assert first
        around.answers = [AWAY]
        await around.pass_by(keeper, days=2_000)
        await around.pass_by(keeper, days=1_000)  # of 3,651 days fewer than a third are left
        told = await reaches(keeper, DomainState.ACTIVE, DomainTrouble.AUTHORITY_AWAY)
        assert told.not_after == first
        assert around.hosts == {SHOP: "7"}
        kept = around.records.folder.parent / "domains.json"
        await eventually(lambda: DomainTrouble.AUTHORITY_AWAY in kept.read_text(), what="it is on disk")
    # A new process goes on where the last one stopped, and asks again when it is time.
    async with around.keeper() as keeper:
        await reaches(keeper, DomainState.ACTIVE, DomainTrouble.AUTHORITY_AWAY)
        await eventually(lambda: around.hosts == {SHOP: "7"})
        await around.pass_by(keeper, seconds=30)
        told = await reaches(keeper, DomainState.ACTIVE)
        assert told.not_after
        assert told.not_after > first


async def test_without_an_authority_an_operator_s_certificate_does_and_none_is_told(around: Around) -> None:
    async with around.keeper(authority=False) as keeper:
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        await reaches(keeper, DomainState.FAILED, DomainTrouble.NO_CERTIFICATE)
        around.named.add(SHOP)
        keeper.assign([DomainRoute(name=SHOP, app_id=7, asked=1)])
        await reaches(keeper, DomainState.ACTIVE)


async def test_a_proxy_that_is_away_is_told_the_names_when_it_is_back(around: Around) -> None:
    around.proxy_down = True
    async with around.keeper(https_port=0) as keeper:
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        assert (await reaches(keeper, DomainState.ACTIVE)).url == f"http://{SHOP}:8000/"
        around.proxy_down = False
        await eventually(lambda: around.hosts == {SHOP: "7"})
        assert around.orders == 0


async def test_the_platform_s_own_host_is_certified_and_neither_routed_nor_told(around: Around) -> None:
    around.records = Records(around.records.folder.parent, ["deploy.example.com"])
    stand_in = around.records.path("deploy.example.com")
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(self_signed(around.now))
    async with around.keeper() as keeper:
        await eventually(lambda: "deploy.example.com" in names_of(stand_in.read_text()), what="its own certificate")
        await eventually(lambda: around.records.known["deploy.example.com"].served)
        keeper.assign([DomainRoute(name=SHOP, app_id=7)])
        await reaches(keeper, DomainState.ACTIVE)
        await eventually(lambda: around.hosts == {SHOP: "7"})
        assert [r.name for r in keeper.reports()] == [SHOP]
    around.records = Records(around.records.folder.parent, ["deploy.example.com"])
    async with around.keeper():
        assert around.records.life("deploy.example.com")


@pytest.mark.parametrize(
    ("fields", "public", "expected"),
    [
        ({"https_port": 443}, "https://gw.example.com", Address("https", None, True)),
        ({"https_port": 8443}, "https://gw.example.com:8443", Address("https", 8443, True)),
        ({"https_port": 8443, "public_https_port": 443}, "", Address("https", None, True)),
        ({}, "https://gw.example.com", Address("https", None, False)),
        ({}, "http://gw.example.com:8000", Address("http", 8000, False)),
        ({}, "http://gw.example.com", Address("http", None, False)),
        ({"port": 80}, "", Address("http", None, False)),
    ],
)
def test_names_are_reached_where_the_public_reaches_the_gateway(
    fields: dict[str, object], public: str, expected: Address
) -> None:
    assert address_of(GatewaySettings.model_validate(fields), public) == expected
