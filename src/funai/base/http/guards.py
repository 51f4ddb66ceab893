"""Auth guards: shared-secret headers compared in constant time, and allow-lists of addresses."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence

from fastapi import Request
from pydantic import SecretStr

from funai.contracts.errors import ConfigError, Forbidden, Unauthenticated
from funai.contracts.reasons import Reason

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(entries: Sequence[str], name: str) -> tuple[Network, ...]:
    """Parse addresses and CIDRs; raises ConfigError that names the setting."""
    try:
        return tuple(ipaddress.ip_network(e, strict=False) for e in entries)
    except ValueError as e:
        raise ConfigError([f"{name}: {e}; give addresses or CIDRs, comma-separated"]) from e


def client_address(request: Request, trusted: Sequence[Network]) -> str:
    """Who really calls. ``X-Forwarded-For`` counts only hop by hop from trusted proxies, right to left."""
    address = request.client.host if request.client else "0.0.0.0"
    hops = [h.strip() for h in request.headers.get("x-forwarded-for", "").split(",") if h.strip()]
    while hops and _inside(address, trusted):
        address = hops.pop()
    return address


def _inside(address: str, nets: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in net for net in nets)


class SecretGuard:
    """A FastAPI dependency: 403 from a foreign address, 401 without the right secret. ``secret=None`` lets all callers in.

    ``own`` answers whose credential a value is that isn't the shared secret, None for no one's. See ``only_as``.
    """

    def __init__(
        self,
        header: str,
        secret: SecretStr | None,
        *,
        allowed: Sequence[Network] = (),
        trusted: Sequence[Network] = (),
        own: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        self.header, self.allowed, self.trusted, self._own = header, tuple(allowed), tuple(trusted), own
        self._secret = secret.get_secret_value().encode() if secret else None

    async def __call__(self, request: Request) -> None:
        if self.allowed and not _inside(client_address(request, self.trusted), self.allowed):
            raise Forbidden(Reason.IP_FORBIDDEN)
        if self._secret is None:
            return
        given = request.headers.get(self.header, "")
        if hmac.compare_digest(given.encode("latin-1", "replace"), self._secret):
            return
        name = await self._own(given) if given and self._own is not None else None
        if name is None:
            raise Unauthenticated(Reason.UNAUTHENTICATED)
        request.state.credential_of = name


Guard = SecretGuard | Callable[..., Awaitable[None]]
"""What a router depends on: raises before a call that is not allowed."""


def address_guard(entries: Sequence[str], name: str, trusted: Sequence[Network] = ()) -> SecretGuard | None:
    """A guard that looks at the caller's address alone; None where the list is empty. Raises ConfigError."""
    allowed = networks(entries, name)
    return SecretGuard("", None, allowed=allowed, trusted=trusted) if allowed else None


def credential_owner(request: Request) -> str | None:
    """Whose own credential the caller came with; None for a shared secret."""
    return getattr(request.state, "credential_of", None)


def only_as(request: Request, name: str) -> None:
    """Who came with a credential of its own speaks for itself alone. Raises Forbidden ``CREDENTIAL_OF_ANOTHER``."""
    owner = credential_owner(request)
    if owner is not None and owner != name:
        raise Forbidden(Reason.CREDENTIAL_OF_ANOTHER, owner=owner, name=name)
