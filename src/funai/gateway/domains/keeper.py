"""Brings the names that this gateway is given into service: looked up, certified, routed; and keeps them there.

::

    PENDING ─ looked up ─▶ DNS_WRONG (again later)
       └─ leads here ─▶ ISSUING ─ certificate ─▶ ACTIVE ─ a third of its life left ─▶ renewed, ACTIVE throughout
                           └─ refused, or no authority ─▶ FAILED (again later)

All of it is kept on disk, so a new process goes on where the last one stopped. What a name once was served with serves on,
whatever becomes of the authority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

from funai.base.observability import log
from funai.contracts.apps.domains import DomainReport, DomainRoute, DomainState, details_of
from funai.contracts.reasons import DomainTrouble
from funai.contracts.routes import GatewayError
from funai.gateway.domains.authority import Authority, IssueFailed
from funai.gateway.domains.lookup import Elsewhere, Lookup
from funai.gateway.domains.records import Record, Records
from funai.gateway.settings import GatewaySettings

OURS = 0
"""The app of names that are the platform's own: certified, and neither routed nor reported."""
_AT_ONCE = 16
"""Names looked at together."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. Each pause doubles with every failure in a row, up to its longest."""

    dns: float = 30.0
    dns_longest: float = 1_800.0
    away: float = 30.0
    away_longest: float = 3_600.0
    refused: float = 600.0
    refused_longest: float = 43_200.0
    limited: float = 3_600.0
    limited_longest: float = 86_400.0
    at_least: float = 300.0
    """Between two tries that the authority refused, also when the owner asks for one."""
    look: float = 3_600.0
    """How often a name that is served is looked at."""

    def after(self, trouble: DomainTrouble, tries: int) -> float:
        first, longest = {
            DomainTrouble.AUTHORITY_AWAY: (self.away, self.away_longest),
            DomainTrouble.RATE_LIMITED: (self.limited, self.limited_longest),
        }.get(trouble, (self.refused, self.refused_longest))
        return min(first * 2 ** min(tries, 16), longest)


class Proxy(Protocol):
    """What the keeper asks of the proxy."""

    async def route(self, hosts: dict[str, str]) -> None:
        """Serve exactly these names, each with its app's id. Raises GatewayError."""
        ...

    async def certify(self) -> None:
        """Load the certificates as they are on disk now. Raises GatewayError."""
        ...

    def covered(self, name: str) -> bool:
        """Whether a certificate of the operator's names it."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Where the public reaches names of apps' own."""

    scheme: str
    port: int | None
    own_tls: bool

    def url(self, name: str) -> str:
        return f"{self.scheme}://{name}{f':{self.port}' if self.port else ''}/"


def address_of(settings: GatewaySettings, public_url: str) -> Address:
    """``public_url``: the gateway's address as people reach it; with TLS ended in front of it, theirs is that scheme."""
    if settings.https_port:
        port = settings.public_https_port or settings.https_port
        return Address("https", None if port == 443 else port, True)
    public = urlsplit(public_url)
    if public.scheme == "https":
        return Address("https", public.port, False)
    port = (public.port or 80) if public.hostname else settings.port
    return Address("http", None if port == 80 else port, False)


def lookup_of(settings: GatewaySettings, public_url: str) -> Lookup:
    """Asks whether names lead to ``gateway.domain-addresses``, or to where people reach this gateway."""
    host = urlsplit(public_url).hostname
    return Lookup(settings.domain_addresses or ([host] if host else []), settings.domain_resolver)


class DomainKeeper:
    """Implements :class:`~funai.contracts.apps.domains.Domains`. ``run`` does the work; the other calls return at once."""

    def __init__(
        self,
        settings: GatewaySettings,
        records: Records,
        proxy: Proxy,
        lookup: Lookup,
        authority: Authority | None,
        *,
        public_url: str = "",
        pace: Pace | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wildcard, self._records, self._proxy = settings.wildcard_domain, records, proxy
        self._lookup, self._authority, self._now, self._pace = lookup, authority, now, pace or Pace()
        self._address = address_of(settings, public_url)
        self._aliases: dict[str, str] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._wake, self._turns = asyncio.Event(), asyncio.Semaphore(_AT_ONCE)
        self._routed: dict[str, str] | None = None
        self._gone: set[str] = set()

    # -- what is asked of it ----------------------------------------------------------------------------------------

    def assign(self, wanted: Iterable[DomainRoute]) -> None:
        """The whole list of names. One that another app had is looked at anew; its certificate is kept."""
        known = self._records.known
        names: set[str] = set(self._records.own)
        aliases: dict[str, str] = {}
        for route in wanted:
            if route.alias:
                if self._wildcard:
                    aliases[f"{route.name}.{self._wildcard}"] = str(route.app_id)
                continue
            names.add(route.name)
            record = known.get(route.name)
            if record is None or record.app_id != route.app_id:
                known[route.name] = Record(name=route.name, app_id=route.app_id, asked=route.asked)
            elif route.asked > record.asked:
                record.asked, record.next_try = route.asked, min(record.next_try, record.not_before_try)
        self._gone |= known.keys() - names
        self._gone -= names
        self._aliases = aliases
        self._wake.set()

    def reports(self) -> list[DomainReport]:
        known = self._records.known.items()
        return [self._report(record) for name, record in known if name not in self._gone and record.app_id != OURS]

    def _report(self, record: Record) -> DomainReport:
        life = self._records.life(record.name)
        waits = record.reason is not None and record.next_try > 0
        return DomainReport(
            name=record.name,
            app_id=record.app_id,
            state=record.state,
            url=self._address.url(record.name) if record.state is DomainState.ACTIVE else None,
            reason=record.reason,
            details=record.details,
            not_after=life.ends if life else None,
            next_try_at=datetime.fromtimestamp(record.next_try, UTC) if waits else None,
        )

    # -- the work ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Task: until cancelled."""
        for name in self._records.own if self._authority else ():
            self._records.known.setdefault(name, Record(name=name, app_id=OURS))
        try:
            while True:
                self._wake.clear()
                await self._drop_gone()
                for record in self._due():
                    task = asyncio.create_task(self._one(record), name=f"gateway:domain:{record.name}")
                    self._busy[record.name] = task
                    task.add_done_callback(lambda _, name=record.name: self._over(name))
                await self._route()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
        finally:
            for task in list(self._busy.values()):
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _over(self, name: str) -> None:
        self._busy.pop(name, None)
        self._wake.set()

    def _due(self) -> list[Record]:
        now = self._now().timestamp()
        return [r for r in self._records.known.values() if r.next_try <= now and r.name not in self._busy]

    def _pause(self) -> float:
        """Until the next name is due, or a route that the proxy did not take is given to it again."""
        if self._routed is None:
            return 1.0
        waiting = [r.next_try for r in self._records.known.values() if r.name not in self._busy]
        return max(0.01, min([60.0, *(at - self._now().timestamp() for at in waiting)]))

    async def _drop_gone(self) -> None:
        gone, self._gone = self._gone, set()
        for name in gone:
            if task := self._busy.get(name):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(self._records.drop, name)
        if gone:
            await self._route()
            await self._certify()
            await self._save()

    async def _one(self, record: Record) -> None:
        """Look at a name that is due. Never raises but for cancellation."""
        try:
            async with self._turns:
                await self._bring(record)
        except Elsewhere as e:
            pause = min(self._pace.dns * 2 ** min(_tries(record, e.trouble), 16), self._pace.dns_longest)
            self._failed(record, DomainState.DNS_WRONG, e.trouble, e.details, pause)
        except IssueFailed as e:
            pause = self._pace.after(e.trouble, _tries(record, e.trouble))
            details = {"name": record.name, "detail": e.detail}
            self._failed(record, DomainState.FAILED, e.trouble, details, pause)
            if e.trouble is not DomainTrouble.AUTHORITY_AWAY:
                sooner = 0 if e.trouble is DomainTrouble.RATE_LIMITED else max(0, pause - self._pace.at_least)
                record.not_before_try = record.next_try - sooner
        except (OSError, ValueError, GatewayError) as e:
            log.get("gateway").error("gateway.domain_failed", name=record.name, error=str(e))
            self._failed(record, DomainState.FAILED, DomainTrouble.NOT_SUPPORTED, {"name": record.name}, self._pace.away)
        await self._save()

    async def _bring(self, record: Record) -> None:
        """Raises Elsewhere, IssueFailed, OSError, ValueError, GatewayError."""
        now, life = self._now(), self._records.life(record.name)
        certified = not self._address.own_tls or self._proxy.covered(record.name) or (life and not life.due(now))
        if certified and record.state is DomainState.ACTIVE and record.reason is None:
            record.next_try = self._next_look(record.name)
            return
        await self._lookup.check(record.name)
        if not certified:
            if self._authority is None:
                details = {"name": record.name}
                pause = self._pace.dns
                self._failed(record, DomainState.FAILED, DomainTrouble.NO_CERTIFICATE, details, pause)
                return
            if record.not_before_try > now.timestamp():
                record.next_try = record.not_before_try
                return
            if record.state is not DomainState.ACTIVE:
                record.troubled(DomainState.ISSUING, None, {})
            text = await self._authority.obtain(record.name)
            await asyncio.to_thread(self._records.keep, record.name, text)
        await self._proxy.certify()
        record.served = True
        await self._route()
        record.troubled(DomainState.ACTIVE, None, {})
        record.tries, record.failing, record.not_before_try = 0, None, 0.0
        record.next_try = self._next_look(record.name)
        log.get("gateway").info("gateway.domain_active", name=record.name, app_id=record.app_id)

    def _next_look(self, name: str) -> float:
        now, life = self._now(), self._records.life(name)
        at = now + timedelta(seconds=self._pace.look)
        return (min(at, life.renewal) if life and self._address.own_tls else at).timestamp()

    def _failed(
        self, record: Record, state: DomainState, trouble: DomainTrouble, details: dict[str, str], pause: float
    ) -> None:
        """A name that serves with a certificate that still counts stays ACTIVE, with the reason."""
        life = self._records.life(record.name)
        serves = record.state is DomainState.ACTIVE and (not self._address.own_tls or (life and life.ends > self._now()))
        if record.failing != trouble:
            log.get("gateway").warning("gateway.domain_troubled", name=record.name, reason=str(trouble), **_logged(details))
            record.failing, record.tries = trouble, 0
        record.troubled(DomainState.ACTIVE if serves else state, trouble, details_of(details))
        record.tries += 1
        record.next_try = self._now().timestamp() + pause

    # -- what goes to the proxy and to the disk -----------------------------------------------------------------------

    async def _route(self) -> None:
        wanted = {r.name: str(r.app_id) for r in self._served()} | self._aliases
        if wanted == self._routed:
            return
        self._routed = None
        with suppress(GatewayError):  # it is sent again
            await self._proxy.route(wanted)
            self._routed = wanted

    def _served(self) -> list[Record]:
        return [r for r in self._records.known.values() if r.served and r.app_id != OURS]

    async def _certify(self) -> None:
        try:
            await self._proxy.certify()
        except GatewayError as e:
            log.get("gateway").warning("gateway.certificates_failed", error=str(e))

    async def _save(self) -> None:
        try:
            await asyncio.to_thread(self._records.save)
        except OSError as e:
            log.get("gateway").error("gateway.domains_unsaved", error=str(e))


def _tries(record: Record, trouble: DomainTrouble) -> int:
    """Failures in a row for this reason."""
    return record.tries if record.failing == trouble else 0


def _logged(details: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in details.items() if key != "name"}
