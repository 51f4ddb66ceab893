"""HAProxy's configuration for an edge, as text. Pure.

It is made of the same parts as a node's; what differs is that an app's entry in the map is the address of its node's gateway,
which does all the rewriting. The edge changes nothing of a request but what says who asks (``X-Forwarded-*``).
"""

from __future__ import annotations

from functools import partial

from funai.contracts.routes import RouteState
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.haproxy import config as haproxy_config
from funai.gateway.haproxy.config import Design
from funai.gateway.haproxy.routemap import STATE_WORDS
from funai.gateway.haproxy.rules import rewrites, sections, shares, strays
from funai.gateway.haproxy.rules.faults import VARIANTS
from funai.gateway.haproxy.rules.sections import IN_PATH_FORM, Facts, answer, error
from funai.gateway.pages import pages
from funai.gateway.pages.pages import Page
from funai.gateway.probe import PROBE_HEADER
from funai.gateway.settings import GatewaySettings

_PAGES = (
    pages.UNKNOWN,
    pages.REFUSED,
    pages.BUSY,
    pages.CROWDED,
    pages.NODE_AWAY,
    pages.PLATFORM_AWAY,
    pages.INTERNAL,
    pages.TIMEOUT,
)
_BUSY = " hdr Retry-After 1 hdr Connection close"


def design(edge: EdgeSettings) -> Design:
    return Design(partial(render, edge), _files, lasting=True)


def _files(settings: GatewaySettings) -> dict[str, str]:
    return haproxy_config.page_files(settings, _PAGES)


def render(edge: EdgeSettings, settings: GatewaySettings, facts: Facts) -> str:
    """The configuration without its identity."""
    blocks = [sections.process(settings, facts), sections.defaults(settings), _frontend(edge, settings, facts)]
    blocks += shares.tables()
    for variant in VARIANTS:
        blocks.append(_backend(f"apps_{variant}", variant, pages.NODE_AWAY, settings, facts, "server node 0.0.0.0:0"))
        if edge.platform_upstream:
            to = f"server platform {edge.platform_upstream}"
            blocks.append(_backend(f"platform_{variant}", variant, pages.PLATFORM_AWAY, settings, facts, to))
    return haproxy_config.as_text(blocks, settings, facts)


def _frontend(edge: EdgeSettings, s: GatewaySettings, f: Facts) -> list[str]:
    lines = [
        *sections.frontend(s, f),
        *sections.identify(s, f, keep_trace=True),
        *sections.app_host(s, f),
        *sections.early_answers(s, f),
        *sections.find_route(s, f),
        *_of_platform(edge),
        *_answer_without_node(edge, s, f),
        *_to_node(s, f),
    ]
    if s.acme_upstream:
        lines.append("use_backend acme if acme_challenge")
    if edge.platform_upstream:
        lines += [f"{line} !routed" for line in sections.chosen("platform")]
        lines.append("use_backend platform_html if !routed")
    return [*lines, *sections.by_language("apps")]


def _of_platform(edge: EdgeSettings) -> list[str]:
    """Marks what goes to the platform: no app's host, below one of its paths, and by one of its hosts."""
    if not edge.platform_upstream:
        return []
    below = f"{{ path -m beg {' '.join(edge.platform_paths)} }}"
    hosts = f" {{ var(txn.host) -m str -i {' '.join(edge.platform_hosts)} }}" if edge.platform_hosts else ""
    own = "!{ path,url_dec -m reg ^/+(runtime|internal)(/|$) }"
    return [f"http-request set-var(txn.platform) int(1) if {IN_PATH_FORM}{own} {below}{hosts}"]


def _answer_without_node(edge: EdgeSettings, s: GatewaySettings, f: Facts) -> list[str]:
    acme = " !acme_challenge" if s.acme_upstream else ""
    away = f"{{ var(txn.route) -m beg {STATE_WORDS[RouteState.STARTING]}/ }}"
    known = [path for path in edge.platform_paths if edge.platform_upstream and path != "/"]
    mine = [f"acl platform_path path -m beg {' '.join(known)}"] if known else []
    return [
        *answer(pages.REFUSED, f, "{ var(txn.refused) -m found }"),
        *([*mine, *strays.leads_back(str(f.map_file), IN_PATH_FORM)] if s.lead_back else ()),
        *answer(pages.UNKNOWN, f, f"!routed !{{ var(txn.platform) -m found }}{acme}"),
        *answer(pages.NODE_AWAY, f, away, f" hdr Retry-After {s.retry_after_seconds}"),
    ]


def _to_node(s: GatewaySettings, f: Facts) -> list[str]:
    # A node's address is that of many apps: they are counted by app.
    count, app_full, all_full = shares.of_apps(s, f.max_connections, key="txn.app")
    return [
        "http-request set-var(txn.to) var(txn.route),field(2,/,2)",
        *count,
        *answer(pages.BUSY, f, app_full, _BUSY),
        *answer(pages.CROWDED, f, all_full, _BUSY),
        *rewrites.claims(s, PROBE_HEADER),
        "http-request set-header X-Trace-Id %[unique-id]",
        "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
        "http-request set-dst var(txn.route),field(2,/) if routed",
        "http-request set-dst-port var(txn.route),field(3,/) if routed",
    ]


def _backend(name: str, variant: str, away: Page, s: GatewaySettings, f: Facts, server: str) -> list[str]:
    unanswered = "{ status 502 503 } !{ var(txn.answered) -m found }"
    return [
        f"backend {name} from base",
        error(500, pages.INTERNAL, variant, f),
        error(502, away, variant, f),
        error(503, away, variant, f),
        error(504, pages.TIMEOUT, variant, f),
        "http-response set-var(txn.answered) int(1)",
        f"http-after-response set-header Retry-After {s.retry_after_seconds} if {unanswered}",
        server,
    ]
