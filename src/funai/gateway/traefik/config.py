"""Routes in Traefik's words: container labels (Docker provider) and dynamic configuration (file provider). Pure.

A rule is ``Path(`/runtime/1`) || PathPrefix(`/runtime/1/`)``: ``PathPrefix`` compares text, so that without the slash
app 1 would answer for app 10. These matchers mean the same in Traefik v2 and v3; the header matcher does not.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from funai.contracts.naming import base_path
from funai.contracts.routes import Route, RouteState
from funai.gateway.probe import GENERATION_HEADER, PROBE_HEADER

PAGES_SERVICE = "funai-pages"
_HOST_PRIORITY = 1000
"""Above every path rule (their priority is their length): on its own name an app has all paths."""
_OWN_PRIORITY = 500
_RANKS = 400
"""Signposts of one app come before its containers' own routers, and one after the other."""
_ATTEMPTS = 4
_PAGE = {RouteState.STOPPED: "stopped", RouteState.STARTING: "starting"}


def rule(app_id: int) -> str:
    base = base_path(app_id)
    return f"Path(`{base}`) || PathPrefix(`{base}/`)"


def host_rule(app_id: int, wildcard_domain: str) -> str:
    return f"Host(`{app_id}.{wildcard_domain}`)"


def labels(
    app_id: int,
    port: int,
    *,
    network: str = "",
    entrypoints: Sequence[str] = (),
    wildcard_domain: str = "",
    generation: int = 0,
) -> dict[str, str]:
    """The labels of an app's container, for Traefik v2 and v3 alike.

    The shared ones hold nothing of a generation: while two containers of an app overlap, Traefik merges their equal labels into
    one service with two servers, and would drop the router if they differed. With a ``generation`` come routers of the
    container's own, see :func:`_own`.
    """
    router, service = f"traefik.http.routers.rt-app-{app_id}", f"traefik.http.services.rt-svc-{app_id}"
    out = {
        "traefik.enable": "true",
        f"{router}.rule": rule(app_id),
        f"{router}.service": f"rt-svc-{app_id}",
        f"{router}.middlewares": f"rt-slash-{app_id},rt-mw-{app_id}",
        **_flat_slash(app_id, f"rt-slash-{app_id}"),
        f"traefik.http.middlewares.rt-mw-{app_id}.stripprefix.prefixes": base_path(app_id),
        f"{service}.loadbalancer.server.port": str(port),
    }
    if network:
        out["traefik.docker.network"] = network
    if entrypoints:
        out[f"{router}.entrypoints"] = ",".join(entrypoints)
    if wildcard_domain:
        by_host = f"traefik.http.routers.rt-host-{app_id}"
        out |= {f"{by_host}.rule": host_rule(app_id, wildcard_domain), f"{by_host}.service": f"rt-svc-{app_id}"}
        out[f"{by_host}.priority"] = str(_HOST_PRIORITY)
        if entrypoints:
            out[f"{by_host}.entrypoints"] = ",".join(entrypoints)
    return out | (_own(app_id, generation, entrypoints, wildcard_domain) if generation else {})


def shown_path(app_id: int, generation: int) -> str:
    """What the container's own router answers, by a redirect to ``SHOWN_AT`` below it."""
    return f"{base_path(app_id)}/{SHOWN_PATH}/{generation}"


def signpost_path(app_id: int, generation: int) -> str:
    return f"{base_path(app_id)}/{SHOWN_PATH}/now-{generation}"


def signpost(
    route: Route, rank: int, *, network: str = "", entrypoints: Sequence[str] = (), wildcard_domain: str = ""
) -> dict[str, str]:
    """Labels of a container beside the one of ``route``: routers before that one's own, to a service that has it alone."""
    n, name = route.app_id, f"rt-now-{route.app_id}-{route.generation}"
    shown, middlewares = signpost_path(n, route.generation), "traefik.http.middlewares"
    above = min(max(rank, 1), _RANKS)
    out = {
        "traefik.enable": "true",
        f"{middlewares}.{name}-strip.stripprefix.prefixes": base_path(n),
        **_shown_redirect(f"{name}-shown"),
        **_flat_slash(n, f"{name}-slash"),
        f"traefik.http.services.{name}.loadbalancer.server.port": str(route.port),
    }
    rules = {name: (rule(n), f"{name}-slash,{name}-strip"), f"{name}-shown": (f"Path(`{shown}`)", f"{name}-shown")}
    if wildcard_domain:
        rules[f"{name}-host"] = (host_rule(n, wildcard_domain), "")
    out |= _routers(rules, name, _OWN_PRIORITY + above, entrypoints)
    return out | ({"traefik.docker.network": network} if network else {})


def _routers(rules: Mapping[str, tuple[str, str]], service: str, priority: int, entrypoints: Sequence[str]) -> dict[str, str]:
    """Router → its rule and its middlewares; each of them comes before the one above it."""
    out: dict[str, str] = {}
    for place, (router, (matches, through)) in enumerate(rules.items()):
        at = f"traefik.http.routers.{router}"
        out |= {f"{at}.rule": matches, f"{at}.service": service, f"{at}.priority": str(priority + place * _HOST_PRIORITY)}
        out |= {f"{at}.middlewares": through} if through else {}
        out |= {f"{at}.entrypoints": ",".join(entrypoints)} if entrypoints else {}
    return out


def _shown_redirect(name: str) -> dict[str, str]:
    """A middleware that answers each request by itself: the app is not asked."""
    at = f"traefik.http.middlewares.{name}.redirectregex"
    return {f"{at}.regex": "^(.*)$", f"{at}.replacement": "${1}/" + SHOWN_AT}


def _own(app_id: int, generation: int, entrypoints: Sequence[str], wildcard_domain: str) -> dict[str, str]:
    """Routers under names that no other container has, so that they agree with whatever definition is shared.

    They come before the shared one. What meets the server that has just been retired was not sent to it, and is tried with the
    other one; and one path says, without asking the app, that Traefik has read this container's labels.
    """
    name = f"rt-own-{app_id}-{generation}"
    shown, middlewares = shown_path(app_id, generation), "traefik.http.middlewares"
    rules = {
        name: (rule(app_id), f"{name}-slash,{name}-retry,{name}-strip"),
        f"{name}-shown": (f"Path(`{shown}`)", f"{name}-shown"),
    }
    if wildcard_domain:
        rules[f"{name}-host"] = (host_rule(app_id, wildcard_domain), f"{name}-retry")
    out = {
        f"{middlewares}.{name}-retry.retry.attempts": str(_ATTEMPTS),
        f"{middlewares}.{name}-strip.stripprefix.prefixes": base_path(app_id),
        **_shown_redirect(f"{name}-shown"),
        **_flat_slash(app_id, f"{name}-slash"),
    }
    return out | _routers(rules, f"rt-svc-{app_id}", _OWN_PRIORITY, entrypoints)


def _slash(app_id: int) -> dict[str, Any]:
    """``/runtime/1?x`` → ``/runtime/1/?x``; anything longer is left alone."""
    regex = rf"^(https?://[^/?]+{base_path(app_id)})(\?.*)?$"
    return {"regex": regex, "replacement": "${1}/${2}", "permanent": True}


def _flat_slash(app_id: int, name: str) -> dict[str, str]:
    words = {True: "true"}
    return {
        f"traefik.http.middlewares.{name}.redirectregex.{key}": words.get(value, str(value))
        for key, value in _slash(app_id).items()
    }


@dataclass(frozen=True, slots=True)
class FileOptions:
    """``version``: 2 or 3. ``secret`` seeds the probe tokens. ``pages_url``: our page server as Traefik reaches it."""

    version: int
    secret: str
    pages_url: str
    entrypoints: tuple[str, ...] = ()
    wildcard_domain: str = ""


def probe_token(secret: str, app_id: int) -> str:
    """What the owner sends to ask for the generation; each app has its own, because it stands in that app's file."""
    return hmac.new(secret.encode(), f"probe:{app_id}".encode(), hashlib.sha256).hexdigest()[:40]


def file_name(app_id: int) -> str:
    return f"rt-app-{app_id}.yml"


COMMON_FILE = "rt-common.yml"
SHOWN_PATH = ".funai-shown"
"""Below an app's path, or below ``/runtime/``: what Traefik has read of its file, said without asking the app."""
SHOWN_AT = "here"
COMMON_ID = 0


def said_by(route: Route) -> str:
    """What ``SHOWN_PATH`` answers in its header once Traefik serves by this route."""
    return str(route.generation) if route.state is RouteState.SERVING else route.state.value


def _shown(app_id: int, said: str, options: FileOptions) -> dict[str, Any]:
    """A router that shows the owner alone what the file says: our page server answers, not the app."""
    path = f"{base_path(app_id)}/{SHOWN_PATH}" if app_id else f"/runtime/{SHOWN_PATH}"
    header = "Header" if options.version == 3 else "Headers"
    asked = f"Path(`{path}`) && {header}(`{PROBE_HEADER}`, `{probe_token(options.secret, app_id)}`)"
    router = {"rule": asked, "priority": _HOST_PRIORITY + 1, "service": PAGES_SERVICE, "middlewares": [f"rt-said-{app_id}"]}
    headers = {"customResponseHeaders": {GENERATION_HEADER: said}}
    return {
        "routers": {f"rt-shown-{app_id}": _at(router, options)},
        "middlewares": {f"rt-said-{app_id}": {"headers": headers}},
    }


def common_config(options: FileOptions) -> dict[str, Any]:
    """The page service, and the unknown-app page for everything below ``/runtime/`` that no app claims."""
    router: dict[str, Any] = {"rule": "PathPrefix(`/runtime/`)", "priority": 1, "service": PAGES_SERVICE}
    shown = _shown(COMMON_ID, str(options.version), options)
    return {
        "http": {
            "routers": {"rt-unknown": _at(router, options), **shown["routers"]},
            "middlewares": shown["middlewares"],
            "services": {PAGES_SERVICE: {"loadBalancer": {"servers": [{"url": options.pages_url}]}}},
        }
    }


def route_config(route: Route, options: FileOptions) -> dict[str, Any]:
    """One app's file."""
    n = route.app_id
    if route.state is not RouteState.SERVING:
        return _page_config(route, _PAGE[route.state], options)
    host = f"[{route.host}]" if ":" in route.host else route.host
    header = "Header" if options.version == 3 else "Headers"
    probe_rule = f"({rule(n)}) && {header}(`{PROBE_HEADER}`, `{probe_token(options.secret, n)}`)"
    routers: dict[str, dict[str, Any]] = {
        f"rt-app-{n}": {"rule": rule(n), "service": f"rt-svc-{n}", "middlewares": [f"rt-slash-{n}", f"rt-mw-{n}"]},
        # Longer rules have priority: only the owner's question gets the generation in the answer.
        f"rt-probe-{n}": {"rule": probe_rule, "service": f"rt-svc-{n}", "middlewares": [f"rt-gen-{n}", f"rt-mw-{n}"]},
    }
    if options.wildcard_domain:
        routers[f"rt-host-{n}"] = _host_router(n, options, f"rt-svc-{n}")
    shown = _shown(n, said_by(route), options)
    said = {
        "customResponseHeaders": {GENERATION_HEADER: str(route.generation)},
        "customRequestHeaders": {PROBE_HEADER: ""},
    }
    return {
        "http": {
            "routers": {**{name: _at(router, options) for name, router in routers.items()}, **shown["routers"]},
            "middlewares": {
                **shown["middlewares"],
                f"rt-slash-{n}": {"redirectRegex": _slash(n)},
                f"rt-mw-{n}": {"stripPrefix": {"prefixes": [base_path(n)]}},
                f"rt-gen-{n}": {"headers": said},
            },
            "services": {f"rt-svc-{n}": {"loadBalancer": {"servers": [{"url": f"http://{host}:{route.port}"}]}}},
        }
    }


def _page_config(route: Route, page: str, options: FileOptions) -> dict[str, Any]:
    app_id = route.app_id
    routers: dict[str, dict[str, Any]] = {f"rt-app-{app_id}": {"rule": rule(app_id), "service": PAGES_SERVICE}}
    if options.wildcard_domain:
        routers[f"rt-host-{app_id}"] = _host_router(app_id, options, PAGES_SERVICE)
    shown = {name: _at({**router, "middlewares": [f"rt-page-{app_id}"]}, options) for name, router in routers.items()}
    told = _shown(app_id, said_by(route), options)
    page_path = {f"rt-page-{app_id}": {"replacePath": {"path": f"/{page}"}}}
    return {"http": {"routers": {**shown, **told["routers"]}, "middlewares": {**page_path, **told["middlewares"]}}}


def _host_router(app_id: int, options: FileOptions, service: str) -> dict[str, Any]:
    return {"rule": host_rule(app_id, options.wildcard_domain), "priority": _HOST_PRIORITY, "service": service}


def _at(router: dict[str, Any], options: FileOptions) -> dict[str, Any]:
    return {**router, "entryPoints": list(options.entrypoints)} if options.entrypoints else router
