"""The one reader of ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either spelling.

Lower case wins over upper case, as in curl. Loopback is never proxied. ``NO_PROXY`` takes host names (with their
subdomains), ``*.domain``, addresses, networks (``fd00::/8``), ``host:port`` and ``*``.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from funai.contracts.errors import ConfigError

SCHEMES = ("http", "https", "socks5", "socks5h")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOCAL = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""Added to ``NO_PROXY`` of every child: each program understands at least one of the spellings."""
_HOST = re.compile(r"\.?[\w*?][\w.*?-]*\.?")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+(?:/[0-9]+)?)\](?::([0-9]{1,5}))?")
_WITH_PORT = re.compile(r"([^:\[\]]+):([0-9]{1,5})")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Exempt:
    """One entry of ``NO_PROXY``: a network or a host pattern, and the port when it names one."""

    network: Network | None = None
    pattern: str = ""
    port: int | None = None

    def covers(self, host: str, port: int | None) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return fnmatchcase(host, self.pattern) or fnmatchcase(host, f"*.{self.pattern}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """``by_scheme`` maps ``http`` and ``https`` to (URL of the proxy, variable that named it)."""

    by_scheme: Mapping[str, tuple[str, str]]
    exempt: tuple[Exempt, ...] = ()

    def chosen(self, url: str) -> tuple[str, str] | None:
        """(proxy, variable) for a URL; None for a direct connection."""
        parts = urlsplit(url)
        found = self.by_scheme.get(parts.scheme)
        if found is None:
            return None
        host = (parts.hostname or "").rstrip(".").lower()
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        if is_loopback(host) or any(e.covers(host, port) for e in self.exempt):
            return None
        return found


def read(environ: Mapping[str, str] | None = None) -> Proxies:
    """The proxies of this process. Raises ConfigError with one sentence for every unusable value."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    by_scheme: dict[str, tuple[str, str]] = {}
    for scheme in ("http", "https"):
        variable, value = _first(environ, f"{scheme}_proxy", "all_proxy")
        if not value:
            continue
        why = _trouble(value)
        if why:
            problems.append(f"{variable}: {why}; give an address like http://proxy.example.com:3128, or unset it")
        else:
            by_scheme[scheme] = (value if "://" in value else f"http://{value}", variable)
    exempt: list[Exempt] = []
    variable, value = _first(environ, "no_proxy")
    for word in re.split(r"[,\s]+", value):
        try:
            exempt += [_exempt(word)] if word else []
        except ValueError:
            problems.append(
                f"{variable}: {word!r} is no host, address or network; give names like .example.com, 10.0.0.0/8, fd00::/8 or *"
            )
    if problems:
        raise ConfigError(sorted(set(problems), key=problems.index))
    return Proxies(by_scheme, tuple(exempt))


def for_children(environ: Mapping[str, str] | None = None, own: Iterable[str] = ()) -> dict[str, str]:
    """The variables that a child of ours gets: both spellings, and loopback and ``own`` hosts exempt from them."""
    environ = os.environ if environ is None else environ
    out: dict[str, str] = {}
    for name in VARIABLES[:-1]:
        _, value = _first(environ, name)
        if value:
            out[name] = out[name.upper()] = value
    if out:
        _, given = _first(environ, "no_proxy")
        listed = [word for word in re.split(r"[,\s]+", given) if word]
        added = [word for word in (*LOCAL, *own) if word not in listed]
        out["no_proxy"] = out["NO_PROXY"] = "*" if "*" in listed else ",".join([*listed, *added])
    return out


def shown(proxy: str) -> str:
    """A proxy's address without its login."""
    scheme, separator, rest = proxy.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def is_loopback(host: str) -> bool:
    """``localhost``, ``*.localhost``, ``127.0.0.0/8``, ``::1``."""
    address = _address(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _first(environ: Mapping[str, str], *names: str) -> tuple[str, str]:
    """(the variable as it is spelled, its value) of the first one that is set; else ("", "").

    An empty one counts as set: it switches off what follows.
    """
    for name in names:
        for spelled in (name, name.upper()):
            if spelled in environ:
                return spelled, environ[spelled].strip()
    return "", ""


def _trouble(value: str) -> str | None:
    """What is wrong with a proxy's address. Never repeats it: there may be a password in it."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable, parts = False, None
    if not usable or parts is None or any(c.isspace() for c in value):
        return "is no usable address of a proxy"
    if parts.scheme not in SCHEMES:
        return f"{parts.scheme}:// is not a kind of proxy that is supported ({', '.join(SCHEMES)})"
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return f"{parts.scheme}:// needs the Python package socksio"
    return None


def _exempt(word: str) -> Exempt:
    """Raises ValueError."""
    if word == "*":
        return Exempt(pattern="*")
    host, port = word, None
    if found := _BRACKETED.fullmatch(word) or _WITH_PORT.fullmatch(word):
        host, port = found[1], int(found[2]) if found[2] else None
    if (network := _network(host)) is not None:
        return Exempt(network=network, port=port)
    if not _HOST.fullmatch(host):
        raise ValueError(word)
    return Exempt(pattern=host.lower().removeprefix("*.").strip("."), port=port)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
