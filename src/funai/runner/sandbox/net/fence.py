"""Which addresses a build may reach: the public internet, and what the operator names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

CLOSED = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Loopback, private, link-local and shared ranges, clouds' metadata (169.254.169.254, Alibaba's 100.100.100.200, Azure's
168.63.129.16), documentation, multicast and reserved ones. A build's network has no IPv6 at all."""
_CLOSED = tuple(IPv4Network(n) for n in CLOSED)


@dataclass(frozen=True, slots=True)
class Opening:
    """One exception of the operator's: a network, on one port or (None) on all."""

    network: IPv4Network | IPv6Network
    port: int | None = None

    def admits(self, address: str, port: int) -> bool:
        return self.port in (None, port) and ip_address(address) in self.network


def reachable(address: str, port: int, openings: Iterable[Opening] = ()) -> bool:
    """Whether a build may connect to this address. ``address`` is numeric."""
    if any(o.admits(address, port) for o in openings):
        return True
    ip = ip_address(address)
    return ip.version == 4 and ip.is_global and not any(ip in n for n in _CLOSED)


def split_place(place: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``address/bits`` or ``address/bits:port``. Raises ValueError."""
    host, colon, port = place.rpartition(":") if place.count(":") == 1 else (place, "", "")
    if not host or "://" in place:
        raise ValueError(f"{place}: must be host, host:port or network/bits[:port]")
    number = int(port) if colon else None
    if number is not None and not 0 < number < 65536:
        raise ValueError(f"{place}: no such port")
    return host, number


def opening(address: str, port: int | None) -> Opening:
    """For a numeric address or network. Raises ValueError."""
    return Opening(ip_network(address, strict=False), port)
