"""Traefik's documented routing, as far as our configuration uses it: matchers, priorities, middlewares.

An independent reading of its manual (v2 "Routers", v3 "Rules & Priority"), so that tests can ask what our files mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_CALL = re.compile(r"(\w+)\(((?:`[^`]*`(?:,\s*)?)+)\)")


@dataclass(frozen=True)
class Asked:
    path: str
    host: str = "h.example"
    headers: tuple[tuple[str, str], ...] = ()
    query: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Decided:
    """``redirect``: where to; else the request goes to ``service`` as ``path`` and the answer gets ``headers``."""

    router: str
    service: str
    path: str
    redirect: str | None
    headers: dict[str, str]
    prefix: str | None


def matches(rule: str, asked: Asked, version: int) -> bool:
    """Evaluate a rule of ``&&``, ``||`` and parentheses over the matchers we use; an unknown one is an error, as there."""

    def call(found: re.Match[str]) -> str:
        return str(_matcher(found[1], re.findall(r"`([^`]*)`", found[2]), asked, version))

    words = _CALL.sub(call, rule).replace("&&", " and ").replace("||", " or ")
    if not re.fullmatch(r"(?:True|False|and|or|[() ])+", words):
        raise ValueError(f"not a rule: {rule}")
    return bool(eval(words))


def _matcher(name: str, args: list[str], asked: Asked, version: int) -> bool:
    if name == "Path":
        return asked.path == args[0]
    if name == "PathPrefix":  # plain text in v3, and in v2 without a {regexp}
        return asked.path.startswith(args[0])
    if name == "Host":
        return asked.host.partition(":")[0].lower() in [a.lower() for a in args]
    if name == ("Header" if version == 3 else "Headers"):
        return (args[0].lower(), args[1]) in [(k.lower(), v) for k, v in asked.headers]
    raise ValueError(f"Traefik v{version} has no matcher {name}")


def decide(config: dict[str, Any], asked: Asked, version: int) -> Decided | None:
    """The router with the highest priority (the rule's length unless given), its middlewares in order. None: Traefik's 404."""
    http = config["http"]
    routers = [
        (int(router.get("priority", 0)) or len(router["rule"]), name, router)
        for name, router in http.get("routers", {}).items()
        if matches(router["rule"], asked, version)
    ]
    if not routers:
        return None
    _, name, router = max(routers, key=lambda r: r[0])
    path, headers, prefix = asked.path, {}, None
    for middleware in router.get("middlewares", []):
        ((kind, options),) = http["middlewares"][middleware].items()
        if kind == "redirectRegex":
            to = re.sub(options["regex"], re.sub(r"\$\{(\d)\}", r"\\\1", options["replacement"]), asked.url)
            if to != asked.url:
                return Decided(name, router["service"], path, to, headers, prefix)
        elif kind == "stripPrefix":
            for stripped in options["prefixes"]:
                if path.startswith(stripped):
                    path, prefix = "/" + path[len(stripped) :].lstrip("/"), stripped
                    break
        elif kind == "replacePath":
            path = options["path"]
        elif kind == "headers":
            headers |= options["customResponseHeaders"]
        elif kind != "retry":  # which changes no request
            raise ValueError(f"unknown middleware {kind}")
    return Decided(name, router["service"], path, None, headers, prefix)


def merged(*configs: dict[str, Any]) -> dict[str, Any]:
    """What the file provider makes of a folder."""
    http: dict[str, dict[str, Any]] = {}
    for config in configs:
        for kind, items in config["http"].items():
            http.setdefault(kind, {}).update(items)
    return {"http": http}


_CASE = {"stripprefix": "stripPrefix", "redirectregex": "redirectRegex", "loadbalancer": "loadBalancer"}


def from_labels(labels: dict[str, str]) -> dict[str, Any]:
    """What the Docker provider makes of a container's labels."""
    tree: dict[str, Any] = {}
    for label, value in labels.items():
        words = label.split(".")
        if words[:2] != ["traefik", "http"]:
            continue
        node = tree
        for word in words[2:-1]:
            node = node.setdefault(_CASE.get(word, word), {})
        many = words[-1] in ("middlewares", "prefixes", "entrypoints")
        node[words[-1]] = value.split(",") if many else value
    return {"http": tree}
