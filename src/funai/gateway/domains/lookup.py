"""Whether a name leads to this gateway, by its address records."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.resolver

from funai.contracts.apps.addresses import Address, is_public
from funai.contracts.reasons import DomainTrouble

SECONDS = 5.0
_SHOWN = 4


class Elsewhere(Exception):
    """The name does not lead here. ``details`` fill the reason's sentence."""

    def __init__(self, trouble: DomainTrouble, **details: str) -> None:
        self.trouble, self.details = trouble, details
        super().__init__(trouble)


class Lookup:
    """Asks the machine's resolver, or ``server`` (``address:port``). ``here``: names and addresses of this gateway."""

    def __init__(self, here: Iterable[str], server: str = "") -> None:
        self._here = tuple(here)
        try:
            self._resolver: dns.asyncresolver.Resolver | None = dns.asyncresolver.Resolver(configure=not server)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = None
        if self._resolver and server:
            host, _, port = server.rpartition(":")
            self._resolver.nameservers, self._resolver.port = [host.strip("[]")], int(port)

    async def check(self, name: str) -> None:
        """Raises Elsewhere. Passes where this can't be determined: with no address of ours known, or only private ones."""
        ours: set[Address] = set()
        for host in self._here:
            ours |= await self._of_ours(host)
        theirs = await self._addresses(name)
        if not theirs:
            raise Elsewhere(DomainTrouble.DNS_MISSING, name=name, expected=_shown(ours) or "?")
        unknown = not ours or (not any(map(is_public, ours)) and any(map(is_public, theirs)))
        if not unknown and not theirs & ours:
            raise Elsewhere(DomainTrouble.DNS_ELSEWHERE, name=name, found=_shown(theirs), expected=_shown(ours))

    async def _of_ours(self, host: str) -> set[Address]:
        try:
            return {ipaddress.ip_address(host.strip("[]"))}
        except ValueError:
            pass
        try:
            return await self._addresses(host)
        except Elsewhere:
            return set()

    async def _addresses(self, name: str) -> set[Address]:
        """Empty when the name has none. Raises Elsewhere when no server answers."""
        if self._resolver is None:
            raise Elsewhere(DomainTrouble.DNS_UNANSWERED, name=name)
        resolver = self._resolver
        asked = (resolver.resolve(f"{name}.", kind, lifetime=SECONDS, search=False) for kind in ("A", "AAAA"))
        found: set[Address] = set()
        silent = 0
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, dns.resolver.NXDOMAIN | dns.resolver.NoAnswer):
                continue
            if isinstance(answer, dns.exception.DNSException | OSError):
                silent += 1
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found |= {ipaddress.ip_address(record.to_text()) for record in answer}
        if silent and not found:
            raise Elsewhere(DomainTrouble.DNS_UNANSWERED, name=name)
        return found


def _shown(addresses: Iterable[Address]) -> str:
    """Some of them, IPv4 first."""
    ordered = sorted(addresses, key=lambda a: (a.version, int(a)))
    return ", ".join(str(a) for a in ordered[:_SHOWN])
