"""Names of an app's own: how one is written, how far it has come, and what hinders it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Protocol

import idna
from pydantic import Field

from funai.contracts.apps.addresses import is_private
from funai.contracts.errors import BadInput, Conflict
from funai.contracts.reasons import Reason
from funai.contracts.wire import EntityId, Instant, Name, Wire
from funai.i18n.reasons import Words

MAX_DOMAIN = 200
"""Characters; the longest that DNS would take, 253, make no file name with an ending."""
MAX_TYPED = 1_000
"""Characters that are looked at at all."""
MAX_PER_NODE = 2_000
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class DomainState(StrEnum):
    PENDING = "PENDING"
    """The app's node has not looked at it yet."""
    DNS_WRONG = "DNS_WRONG"
    """The name does not lead here; it is looked up again."""
    ISSUING = "ISSUING"
    """The name leads here, and its certificate is being obtained."""
    ACTIVE = "ACTIVE"
    """The app is served at it. With a reason: the certificate's renewal fails, and the old one serves meanwhile."""
    FAILED = "FAILED"
    """There is no certificate for the reason given; it is tried again."""


class DomainRoute(Wire):
    """What Deploy tells a node: this name is this app's."""

    name: str = Field(max_length=MAX_DOMAIN)
    """A whole domain name; of an alias its first label only."""
    app_id: EntityId
    alias: bool = False
    asked: int = 0
    """Grows when its owner asks for another look now."""


class DomainReport(Wire):
    """What a node tells Deploy of a name."""

    name: str = Field(max_length=MAX_DOMAIN)
    app_id: EntityId
    state: DomainState
    url: str | None = Field(default=None, max_length=300, pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?/$")
    """Where people reach it; only of an active one."""
    reason: str | None = Field(default=None, max_length=64)
    details: dict[str, Annotated[str, Field(max_length=500)]] = Field(default_factory=dict[str, str], max_length=8)
    """Values of the placeholders in the reason's sentence."""
    not_after: Instant | None = None
    next_try_at: Instant | None = None


class NodeDomains(Wire):
    """A node tells how its names are, and asks which it shall serve."""

    node_name: Name
    reports: list[DomainReport] = Field(default_factory=list[DomainReport], max_length=MAX_PER_NODE)


class AddDomain(Wire):
    """The API gives a name to an app, or takes it away."""

    user_id: EntityId
    app_id: EntityId
    name: str = Field(max_length=MAX_TYPED)
    limit: int = Field(default=10, ge=0, le=1_000)
    """Names that the app may have."""
    reserved: list[str] = Field(default_factory=list[str], max_length=100)
    """The platform's own hosts that Deploy doesn't know."""


class NameApp(Wire):
    """The API suggests a readable label for an app below the apps' domain."""

    user_id: EntityId
    app_id: EntityId
    label: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$", max_length=63)


class DomainTarget(Wire):
    app_id: EntityId
    name: str = Field(max_length=MAX_TYPED)


class TypedDomain(Wire):
    """The body by which a person names a domain."""

    name: str = Field(max_length=MAX_TYPED)


class Domain(Wire):
    """(+) A name of an app's own, as its owner sees it."""

    name: str
    app_id: int
    state: DomainState
    url: str | None = None
    reason: str | None = None
    message: str | None = None
    """For people: what hinders it and what to change."""
    details: dict[str, str] = Field(default_factory=dict[str, str])
    not_after: Instant | None = None
    """When its certificate ends."""
    next_try_at: Instant | None = None
    created_at: Instant


class Domains(Protocol):
    """The names that a gateway serves. Names that are not sent again are forgotten."""

    def assign(self, wanted: Iterable[DomainRoute]) -> None: ...

    def reports(self) -> list[DomainReport]: ...


def clean_domain(text: str) -> str:
    """The one spelling of a domain name: lower case, punycode, no trailing dot. Raises BadInput DOMAIN_INVALID."""
    shown = text.strip()[:80]
    if len(text) > MAX_TYPED:
        raise _invalid(shown, "太长", "is too long")
    name = text.strip().lower()
    if "://" in name or "/" in name:
        raise _invalid(shown, "只写域名，不带 http:// 和路径", "give the name alone, without http:// and path")
    if "*" in name:
        raise _invalid(shown, "不支持通配符；请逐个添加", "wildcards are not possible; add each name")
    if _is_address(name):
        raise _invalid(shown, "是 IP 地址，不是域名", "is an address, not a name")
    if ":" in name:
        raise _invalid(shown, "只写域名，不带端口", "give the name alone, without a port")
    try:
        name = idna.encode(name, uts46=True).decode("ascii") if not name.isascii() or "xn--" in name else name
    except (idna.IDNAError, UnicodeError):
        raise _invalid(shown, "不是合法的域名", "is no domain name") from None
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_DOMAIN or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or _is_address(name):
        raise _invalid(shown, "不是合法的域名（例如 shop.example.com）", "is no domain name such as shop.example.com")
    if is_private(name):
        raise _invalid(shown, "只在内部网络有效", "is a name of private networks only")
    return name


def readable_label(app_name: str, user_name: str) -> str | None:
    """``{name}-{user}`` in lower-case letters, digits and single hyphens; None where nothing of one of them is left.

    With its hyphen it is no app's id, and with single ones no punycode.
    """
    name, user = ("-".join(re.findall(r"[a-z0-9]+", text.lower())) for text in (app_name, user_name))
    label = f"{name}-{user}"
    return label if name and user and len(label) <= 63 else None


def check_not_ours(name: str, hosts: Iterable[str], domains: Iterable[str]) -> None:
    """Raises Conflict DOMAIN_RESERVED for the platform's own ``hosts``, and for apps' ``domains`` with all below them."""
    below = tuple(f".{d.lower().strip('.')}" for d in domains if d)
    if name in {h.lower().strip("[].") for h in hosts} or f".{name}".endswith(below):
        raise Conflict(Reason.DOMAIN_RESERVED, name=name)


def details_of(details: Mapping[str, object]) -> dict[str, str]:
    """As a report may carry them: one line each, bounded."""
    return {key: " ".join(str(value).split())[:500] for key, value in list(details.items())[:8]}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _invalid(shown: str, zh: str, en: str) -> BadInput:
    return BadInput(Reason.DOMAIN_INVALID, name=shown, why=Words(zh, en))
