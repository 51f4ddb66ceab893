"""HAProxy's one static configuration, as text. Pure: the same facts always give the same text.

A request's way: the second path segment (or the first label of the host) is looked up in the map; the entry gives state,
address and generation; ``set-dst`` sends it there. No app has a line of its own here, so no app can break another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from funai.contracts.routes import RouteState
from funai.gateway.haproxy.routemap import STATE_WORDS
from funai.gateway.haproxy.rules import faults, rewrites, sections, shares, strays
from funai.gateway.haproxy.rules.faults import VARIANTS
from funai.gateway.haproxy.rules.sections import IN_PATH_FORM, Facts, answer, error, kind, page_of
from funai.gateway.pages import pages
from funai.gateway.pages.pages import Page
from funai.gateway.probe import PROBE_HEADER
from funai.gateway.settings import GatewaySettings

CONN_CUR = "conn_cur="
"""How the table's entries say how many requests are in flight."""


def probe_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest().upper()


_PAGES = (*pages.ROUTING_PAGES, pages.INTERNAL, pages.HEAD_TOO_LARGE, pages.TIMEOUT)


def page_files(settings: GatewaySettings, wanted: Sequence[Page] = _PAGES) -> dict[str, str]:
    """File name → content of every page, as HAProxy log-format files (``%`` is its escape)."""
    out: dict[str, str] = {}
    for page in wanted:
        html = pages.as_html(page, trace="@t@", refresh_seconds=settings.retry_after_seconds)
        out[f"{page.name}.html"] = _log_format(html)
        for language in pages.LANGUAGES:
            out[f"{page.name}.json_{language}"] = _log_format(pages.as_json(page, language, trace="@t@"))
    return out


def _log_format(text: str) -> str:
    return text.replace("%", "%%").replace("@t@", "%[unique-id]")


def identity(config: str, page_texts: dict[str, str]) -> str:
    """A name for config and pages together: a running proxy with the same one may be adopted."""
    digest = hashlib.sha256(config.encode())
    for name in sorted(page_texts):
        digest.update(f"\0{name}\0{page_texts[name]}".encode())
    return f"funai-{digest.hexdigest()[:32]}"


def with_identity(config: str, name: str) -> str:
    return config.replace("global\n", f"global\n    description {name}\n", 1)


def render(settings: GatewaySettings, facts: Facts) -> str:
    """The configuration without its identity."""
    blocks = [sections.process(settings, facts), sections.defaults(settings), _frontend(settings, facts)]
    blocks += shares.tables()
    blocks += [_backend(variant, settings, facts) for variant in VARIANTS]
    return as_text(blocks, settings, facts)


def as_text(blocks: Sequence[Sequence[str]], settings: GatewaySettings, facts: Facts) -> str:
    """The sections as a file, each one's first line its head."""
    if settings.acme_upstream:
        blocks = [*blocks, ["backend acme from base", f"server acme {settings.acme_upstream}"]]
    # Part of the text, so that another program or set of certificates is another configuration.
    head = f"# Made by funai; edits are lost. {facts.version}. Certificates: {' '.join(facts.certificates) or 'none'}\n"
    return head + "\n".join("\n    ".join(lines) + "\n" for lines in blocks)


def _frontend(s: GatewaySettings, f: Facts) -> list[str]:
    lines = [
        *sections.frontend(s, f),
        *sections.identify(s, f),
        *sections.app_host(s, f),
        *sections.early_answers(s, f),
        *sections.find_route(s, f),
        *_answer_without_app(s, f),
        *_to_upstream(s, f),
    ]
    if s.acme_upstream:
        lines.append("use_backend acme if acme_challenge")
    return [*lines, *sections.by_language("apps")]


def _answer_without_app(s: GatewaySettings, f: Facts) -> list[str]:
    """What ends here: tricks, unknown apps, stopped and starting ones, and a base path without its slash."""
    acme = " !acme_challenge" if s.acme_upstream else ""
    word = {state: f"{{ var(txn.route) -m beg {w}/ }}" for state, w in STATE_WORDS.items()}
    retry = f" hdr Retry-After {s.retry_after_seconds}"
    slash = "http-request redirect code 308 location %[var(txn.base)]/"
    return [
        *answer(pages.REFUSED, f, "{ var(txn.refused) -m found }"),
        *(strays.leads_back(str(f.map_file), IN_PATH_FORM) if s.lead_back else ()),
        *answer(pages.UNKNOWN, f, f"!routed{acme}"),
        *answer(pages.STOPPED, f, word[RouteState.STOPPED]),
        *answer(pages.STARTING, f, word[RouteState.STARTING], retry),
        "acl bare_base path -m reg ^/runtime/[0-9]+$",
        "acl in_base var(txn.base) -m found",
        f"acl keeps_prefix {rewrites.KEEPS_PREFIX}",
        f"{slash}?%[query] if in_base !keeps_prefix bare_base {{ query -m len gt 0 }}",
        f"{slash} if in_base !keeps_prefix bare_base",
    ]


def _to_upstream(s: GatewaySettings, f: Facts) -> list[str]:
    count, app_full, all_full = shares.of_apps(s, f.max_connections)
    owner = "var(txn.route),field(5,/)"
    return [
        "http-request set-var(txn.to) var(txn.route),field(2,/,2)",
        "http-request set-var(txn.self) var(txn.route),field(2,/,2),regsub(/,:)",
        f"http-request set-var(txn.owner) {owner} if {{ {owner} -m reg ^[1-9] }}",
        *count,
        *answer(pages.BUSY, f, app_full, " hdr Retry-After 1 hdr Connection close"),
        *answer(pages.CROWDED, f, all_full, " hdr Retry-After 1 hdr Connection close"),
        *rewrites.request_headers(s, PROBE_HEADER),
        # A request that changes something is sent once.
        "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
        "http-request set-dst var(txn.route),field(2,/) if routed",
        "http-request set-dst-port var(txn.route),field(3,/) if routed",
        # An app that answers only below its base path has nothing at the root of its own name.
        "http-request redirect code 307 location /runtime/%[var(txn.app)]/ if keeps_prefix !in_base { path / }",
        "http-request set-path /%[path,field(4,/,0)] if in_base !keeps_prefix",
    ]


def _backend(variant: str, s: GatewaySettings, f: Facts) -> list[str]:
    return [
        f"backend apps_{variant} from base",
        error(500, pages.INTERNAL, variant, f),
        *faults.answers(variant, str(f.pages), str(f.map_file), kind(variant)),
        error(504, pages.TIMEOUT, variant, f),
        "http-response set-var(txn.answered) int(1)",
        *rewrites.response_headers(page_of(pages.HEAD_TOO_LARGE, variant, f)),
        *(strays.names_itself() if s.lead_back else ()),
        *faults.statuses(str(f.map_file)),
        "server app 0.0.0.0:0",
    ]


def listeners(settings: GatewaySettings) -> list[tuple[str, int]]:
    """(address, port) of everything the proxy listens on."""
    ports = (settings.port, settings.https_port) if settings.https_port else (settings.port,)
    return [(settings.host, p) for p in ports]


@dataclass(frozen=True, slots=True)
class Design:
    """What a HAProxy of ours is made for: its configuration and the files that this names in the folder of pages.

    ``lasting``: upstreams keep their addresses when this machine boots.
    """

    render: Callable[[GatewaySettings, Facts], str]
    files: Callable[[GatewaySettings], dict[str, str]]
    lasting: bool = False


NODE = Design(render, lambda settings: page_files(settings) | faults.map_files())
"""A node's gateway, before its apps' containers."""
