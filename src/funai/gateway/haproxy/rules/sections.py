"""Parts of the configuration that a node's gateway and an edge have in common, as lines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from funai.gateway.haproxy.rules import shares, targets
from funai.gateway.pages import pages
from funai.gateway.pages.pages import Page
from funai.gateway.probe import GENERATION_HEADER, PROBE_HEADER
from funai.gateway.settings import GatewaySettings

LOG_FD_VARIABLE = "FUNAI_GATEWAY_LOG_FD"
BUFFER = 163_840
"""``tune.bufsize``: a request's or response's head may take ``BUFFER - REWRITE`` bytes."""
REWRITE = 81_920
"""Kept free in each buffer for the headers we add and the cookies we confine."""
HEADERS = 1_000
"""Headers that a request or response may have."""


IN_PATH_FORM = "!app_host "
"""The condition that a request is not for an app's own name."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text depends on besides the settings."""

    root: Path
    sockets: Path
    max_connections: int
    user: str
    """Empty: stay who we are."""
    probe_sha256: str
    """Upper-case hex of the probe secret's SHA-256: the secret itself is not in the file."""
    certificates: tuple[str, ...] = ()
    """The operator's; those of apps' own names come and go in the running process."""
    version: str = ""
    thumbprint: str = ""
    """Of the account at the ACME authority, if there is one."""

    @property
    def map_file(self) -> Path:
        return self.root / "routes.map"

    @property
    def hosts_file(self) -> Path:
        return self.root / "hosts.map"

    @property
    def pages(self) -> Path:
        return self.root / "pages"

    @property
    def certificate_list(self) -> Path:
        return self.root / "tls" / "crt-list.txt"

    @property
    def admin_socket(self) -> Path:
        return self.sockets / "admin.sock"


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def process(s: GatewaySettings, f: Facts) -> list[str]:
    lines = [
        "global",
        f'log "fd@${{{LOG_FD_VARIABLE}}}" len 4000 format raw local0 info',
        # One thread for all commands: what an abandoned connection still says comes before what a later one says.
        f"stats socket {f.admin_socket} mode 600 level admin expose-fd listeners thread 1",
        "stats timeout 1d",
        # Another process on our port must be an error, not a silent half of the requests.
        "noreuseport",
        f"maxconn {f.max_connections}",
        f"hard-stop-after {_ms(s.drain_seconds)}",
        f"tune.bufsize {BUFFER}",
        f"tune.maxrewrite {REWRITE}",
        f"tune.http.maxhdr {HEADERS}",
        "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
    ]
    return [*lines, f"user {f.user}"] if f.user else lines


def defaults(s: GatewaySettings) -> list[str]:
    return [
        "defaults base",
        "mode http",
        "log global",
        "unique-id-format %[uuid()]",
        f"timeout connect {_ms(s.connect_timeout)}",
        f"timeout client {_ms(s.response_timeout)}",
        f"timeout server {_ms(s.response_timeout)}",
        f"timeout http-request {_ms(s.request_timeout)}",
        f"timeout http-keep-alive {_ms(s.keepalive_timeout)}",
        f"timeout tunnel {_ms(s.tunnel_timeout)}",
        f"timeout queue {_ms(s.connect_timeout)}",
        # Streams (SSE) must not wait for a fuller segment.
        "option http-no-delay",
        # A replaced process says "Connection: close" with its last answer instead of cutting an idle connection.
        "option idle-close-on-response",
        # A client that left frees its place at once, also while its app has not answered yet.
        "option abortonclose",
        "http-reuse safe",
        # An upstream may close a kept-alive connection just as a request goes out on it: ask again, once. A refused
        # connection is not retried, so that a dead app answers at once.
        "retries 1",
        "retry-on empty-response",
    ]


def _log_line() -> str:
    """Space-separated numbers for the counters, then the rest of the JSON object that the log file gets.

    Path and host are cut so that the line fits in 4,000 bytes even when each byte is escaped: a pipe takes up to 4,096 at
    once or not at all, so lines of several threads and processes never mix. HAProxy's own words for method and version are
    cut out of the first 1,024 bytes of the request line: a long query would make them nonsense.
    """
    fields = (
        '"path":"%[var(txn.path),bytes(0,400),json(utf8s)]","host":"%[var(txn.host),bytes(0,100),json(utf8s)]",'
        '"client":"%[var(txn.client)]","method":"%[var(txn.method),bytes(0,32),json(utf8s)]","protocol":"HTTP/%[var(txn.version)]","tls":"%sslv","upstream":"%[var(txn.to)]",'
        '"generation":"%[var(txn.generation)]","connectMs":%Tc,"firstByteMs":%Tr,"end":"%ts","traceId":"%[unique-id]"}'
    )
    return f"log-format '%Ts.%ms %[var(txn.app)] %ST %U %B %Ta|{fields}'"


def frontend(s: GatewaySettings, f: Facts) -> list[str]:
    """The frontend's first lines: where it listens, and what is counted and logged of each request."""
    address = f"[{s.host}]" if ":" in s.host else s.host
    both = " v4v6" if s.host == "::" else ""
    lines = ["frontend public from base", f"bind {address}:{s.port}{both}"]
    if s.https_port:
        lines.append(f"bind {address}:{s.https_port}{both} ssl crt-list {f.certificate_list} alpn h2,http/1.1")
    return [
        *lines,
        targets.RAW,
        *shares.at_the_frontend(s, f.max_connections),
        _log_line(),
        error(500, pages.INTERNAL, "html", f),
    ]


def identify(s: GatewaySettings, f: Facts, *, keep_trace: bool = False) -> list[str]:
    """Who asks, and what they may say about themselves. ``keep_trace``: an answer's own trace id stays."""
    unless = " unless { res.hdr(x-trace-id) -m found }" if keep_trace else ""
    probed_app = "{ var(txn.probe) -m found } { var(txn.answered) -m found }"
    lines = [
        "acl json req.fhdr(accept) -i -m sub application/json",
        "acl english req.fhdr(accept-language) -i -m beg en",
        "http-request set-var(txn.authority) req.hdr(host),lower",
        *targets.strict(),
        "http-request set-var(txn.path) path",
        "http-request set-var(txn.host) req.hdr(host),host_only",
        # Kept as a text: of a method that it has no number for, HAProxy keeps no name.
        "http-request set-var(txn.method) method,bytes(0,32)",
        "http-request set-var(txn.version) req.ver",
        "http-request set-var(txn.client) src",
        f"http-request set-var(txn.probe) int(1) if {{ req.hdr({PROBE_HEADER}),sha2(256),hex -m str {f.probe_sha256} }}",
        "http-request set-log-level silent if { var(txn.probe) -m found }",
        "http-response del-header " + GENERATION_HEADER,
        f"http-after-response set-header {GENERATION_HEADER} 0 if {{ var(txn.probe) -m found }}",
        f"http-after-response set-header {GENERATION_HEADER} %[var(txn.generation)] if {probed_app}",
        f"http-after-response set-header X-Trace-Id %[unique-id]{unless}",
    ]
    shown = "req.hdr(x-forwarded-host)"
    if s.trusted_proxies:
        lines += [
            "acl trusted src " + " ".join(s.trusted_proxies),
            f"http-request set-var(txn.authority) {shown},lower if trusted {{ {shown} -m found }}",
            "http-request set-var(txn.client) req.hdr_ip(x-forwarded-for,-1) if trusted { req.hdr(x-forwarded-for) -m found }",
        ]
    return lines


def app_host(s: GatewaySettings, f: Facts) -> list[str]:
    """Which hosts are an app's own: names that were given to one, and all below the apps' domain."""
    lines = [
        rf"http-request set-var(txn.own) var(txn.host),lower,regsub(\.$,),map_str({f.hosts_file})",
        "acl app_host var(txn.own) -m found",
    ]
    return [*lines, f"acl app_host var(txn.host) -m end .{s.wildcard_domain}"] if s.wildcard_domain else lines


_CHALLENGES = "/.well-known/acme-challenge/"


def early_answers(s: GatewaySettings, f: Facts) -> list[str]:
    # Under a name of its own every path is the app's, its own health page too.
    health = f"{IN_PATH_FORM}{{ path /internal/health }}"
    lines = [f"http-request return status 200 content-type application/json string '{{\"ok\": true}}' if {health}"]
    acme = ""
    if f.thumbprint:
        # RFC 8555, 8.3: only the holder can use the answer of the account's key.
        token = rf"{{ path -m reg ^{_CHALLENGES.replace('.', '[.]')}[A-Za-z0-9_-]{{16,128}}$ }}"
        lines.append(
            "http-request return status 200 content-type text/plain"
            f' lf-string "%[path,field(4,/)].{f.thumbprint}" hdr Cache-Control no-store if {token}'
        )
    elif s.acme_upstream:
        lines.append(f"acl acme_challenge path_beg {_CHALLENGES}")
        acme = " !acme_challenge"
    if s.https_port and s.https_redirect:
        port = s.public_https_port or s.https_port
        at = "" if port == 443 else f":{port}"
        lines.append("http-request set-var(txn.secure) int(1) if { ssl_fc }")
        if s.trusted_proxies:
            lines.append("http-request set-var(txn.secure) int(1) if trusted { req.hdr(x-forwarded-proto) -i https }")
        lines.append(
            f"http-request redirect code 308 location https://%[var(txn.host)]{at}%[pathq]"
            f" if !{{ var(txn.secure) -m found }} !{{ var(txn.probe) -m found }}{acme}"
        )
    return lines


def find_route(s: GatewaySettings, f: Facts) -> list[str]:
    lines: list[str] = []
    by_host = IN_PATH_FORM
    if s.wildcard_domain:
        dotted = s.wildcard_domain.replace(".", r"\.")
        of_app = f"{{ var(txn.host) -m reg '^[1-9][0-9]{{0,18}}\\.{dotted}$' }}"
        lines.append(f"http-request set-var(txn.segment) var(txn.host),field(1,.) if {of_app}")
    lines += [
        "http-request set-var(txn.segment) var(txn.own) if { var(txn.own) -m found }",
        f"http-request set-var(txn.segment) path,field(3,/) if {by_host}{{ path_beg /runtime/ }}",
        f"http-request set-var(txn.route) var(txn.segment),map_str({f.map_file})",
        "acl routed var(txn.route) -m found",
        "http-request set-var(txn.app) var(txn.segment) if routed",
        "http-request set-var(txn.generation) var(txn.route),field(4,/) if routed",
        f"http-request set-var(txn.base) str(/runtime/),concat(,txn.app) if {by_host}routed",
    ]
    return lines


def answer(page: Page, f: Facts, condition: str, headers: str = "") -> list[str]:
    return [
        f"http-request return status {page.status} {page_of(page, variant, f)}{headers} if {condition}{when}"
        for variant, when in (("json_en", " json english"), ("json_zh", " json"), ("html", ""))
    ]


def kind(variant: str) -> str:
    return "text/html" if variant == "html" else "application/json"


def page_of(page: Page, variant: str, f: Facts) -> str:
    return f'content-type "{kind(variant)}; charset=utf-8" lf-file {f.pages}/{page.name}.{variant} hdr Cache-Control no-store'


def error(code: int, page: Page, variant: str, f: Facts) -> str:
    return f"http-error status {code} {page_of(page, variant, f)}"


def by_language(backends: str) -> list[str]:
    """The frontend's last lines: a backend of this name for each form that its own pages have."""
    return [*chosen(backends), f"default_backend {backends}_html"]


def chosen(backends: str) -> list[str]:
    """Lines for clients that ask for JSON; a condition may follow."""
    return [f"use_backend {backends}_json_en if json english", f"use_backend {backends}_json_zh if json"]
