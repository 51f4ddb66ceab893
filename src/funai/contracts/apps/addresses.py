"""Which addresses are public: a name that a tenant writes reaches no others. Pure."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PRIVATE_NAMES = (".localhost", ".internal", ".local", ".lan", ".localdomain", ".home.arpa")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_private(registry: str) -> bool:
    """Whether ``host[:port]`` is, by its text alone, no public address; "" is Docker Hub."""
    host = registry.lower().rpartition("]")[0].lstrip("[") if registry.startswith("[") else registry.lower().partition(":")[0]
    host = host.rstrip(".")
    if not registry:
        return False
    try:
        return not is_public(ipaddress.ip_address(host))
    except ValueError:
        if "." not in host or host.endswith(_PRIVATE_NAMES):
            return True
        # Old forms of addresses (127.1, 0x7f.0.0.1) are read by some resolvers; no public name ends in a number.
        return re.fullmatch(r"\d+|0x[0-9a-f]*", host.rpartition(".")[2]) is not None


def is_public(address: Address) -> bool:
    """Whether the address is one of the public network, whatever way it is wrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast
