"""Addresses of containers. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address


def mac_of(address: str) -> str:
    """A locally administered MAC made from an IPv4 address, as Docker makes its own."""
    return ":".join(f"{part:02x}" for part in (0x02, 0x66, *IPv4Address(address).packed))
