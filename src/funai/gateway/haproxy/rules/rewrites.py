"""Header rewriting rules of the HAProxy gateway, as configuration lines. Pure.

All apps share one origin, so what an app sets for "/" would be every app's: cookies are confined to the app's base path,
headers that speak for the whole origin are dropped, and redirects to an absolute path get the prefix that was stripped from
the request.
"""

from __future__ import annotations

from funai.contracts.naming import CONTAINER_HOST
from funai.gateway.settings import GatewaySettings

_BASE = "%[var(txn.base)]"


def claims(s: GatewaySettings, probe_header: str) -> list[str]:
    """Who asks, by which name and scheme. What a client claims about itself counts only from a trusted proxy."""
    unless = " if !trusted" if s.trusted_proxies else ""
    lines = [f"http-request del-header {name}{unless}" for name in _CLAIMS]
    lines += [f"http-request del-header {name}" for name in (probe_header, "X-Forwarded-Prefix", "Proxy")]
    lines += _OF_THIS_CONNECTION
    chain = "req.fhdr(x-forwarded-for)"
    if s.trusted_proxies:
        lines += [
            f"http-request set-header X-Forwarded-For '%[{chain}], %[src]' if trusted {{ {chain} -m found }}",
            "http-request set-header X-Forwarded-For %[src] if !{ req.hdr(x-forwarded-for) -m found }",
            "http-request set-header X-Real-IP %[var(txn.client)] if !{ req.hdr(x-real-ip) -m found }",
            "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)] if !{ req.hdr(x-forwarded-proto) -m found }",
            "http-request set-header X-Forwarded-Host %[req.hdr(host)] if !{ req.hdr(x-forwarded-host) -m found }",
        ]
    else:
        lines += [
            "http-request set-header X-Forwarded-For %[src]",
            "http-request set-header X-Real-IP %[src]",
            "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
            "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        ]
    return lines


def request_headers(s: GatewaySettings, probe_header: str) -> list[str]:
    """What the app learns about the request."""
    lines = [
        *claims(s, probe_header),
        f"http-request set-header X-Forwarded-Prefix {_BASE} if in_base",
        "http-request set-header X-Trace-Id %[unique-id]",
    ]
    lines += [
        "http-request set-header Cookie "
        f"""'%[req.fhdr(cookie),regsub("(^|; *){name}=[^;]*","",g),regsub("^; *","")]' if {{ req.cook({name}) -m found }}"""
        for name in s.hidden_cookies
    ]
    if s.hidden_cookies:
        lines.append("http-request del-header Cookie if { req.fhdr(cookie) -m len 0 }")
    return lines


KEEPS_PREFIX = "var(txn.route),field(6,/) -m str k"
REWRITABLE_COOKIES, REWRITABLE_HEAD = 200, 65_536
"""Cookies that a response may set below a base path, and the bytes its head may take with cookies or a redirect. With each
cookie longer by at most two base paths of 28 bytes and the padding, what is rewritten fits the part of the buffer kept free
(``REWRITE``)."""
_OF_THIS_CONNECTION = (
    # An app that took the offer would get requests that no rule here has seen; an offer may be left unanswered.
    "http-request del-header Upgrade if { req.fhdr(upgrade) -i -m sub h2c }",
    "http-request del-header HTTP2-Settings",
    # A client could name our own headers in it, for a proxy in the app's container to drop.
    "http-request del-header Connection if !{ req.fhdr(upgrade) -m found }",
    "http-request set-header Connection upgrade if { req.fhdr(upgrade) -m found }",
)
"""Rules for what is said to the next hop alone (RFC 9110, 7.6.1): the gateway's own word counts with the app."""
_CLAIMS = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Real-IP",
)


_FOR_THE_ORIGIN = (
    "Service-Worker-Allowed",
    "Clear-Site-Data",
    "Strict-Transport-Security",
    "Alt-Svc",
    "NEL",
    "Report-To",
    "Reporting-Endpoints",
    "Accept-CH",
    "Critical-CH",
    "Set-Login",
    "Origin-Agent-Cluster",
    "Speculation-Rules",
    "Public-Key-Pins",
    "Public-Key-Pins-Report-Only",
    "Expect-CT",
    "Activate-Storage-Access",
    "Use-As-Dictionary",
    "Secure-Session-Registration",
    "Secure-Session-Challenge",
    "Sec-Session-Registration",
    "Sec-Session-Challenge",
    "Shared-Storage-Write",
    "Accept-CH-Lifetime",
)
"""What a browser applies to the whole origin: one app would stand in front of the others' pages with its script, empty their
storage and log their users out, shut plain HTTP for every port of this host, move them elsewhere, get reports of their traffic,
have its visitors' browsers send the others more than they asked for, bind their sessions to itself, or say who is logged
in."""
_FOR_PROXIES = ("X-Accel-Redirect", "X-Sendfile", "X-Lighttpd-Send-File", "X-LiteSpeed-Location", "X-Reproxy-URL")
"""Orders to the web server in front, nginx and others: one that stands before this gateway would serve its own files."""


def response_headers(too_large: str) -> list[str]:
    """Confine cookies, prefix redirects. A rule that does not fit the buffer fails the response, never half-applies."""
    return [
        "acl in_base var(txn.base) -m found",
        "acl has_cookie res.hdr(set-cookie) -m found",
        "acl has_location res.hdr(location) -m found",
        f"acl too_large res.hdrs,length gt {REWRITABLE_HEAD}",
        f"acl too_large res.fhdr_cnt(set-cookie) gt {REWRITABLE_COOKIES}",
        f"http-response return status 502 {too_large} if in_base has_cookie too_large",
        f"http-response return status 502 {too_large} if in_base has_location too_large",
        "http-response strict-mode on",
        *(f"http-response del-header {name} if in_base" for name in _FOR_THE_ORIGIN),
        *(f"http-response del-header {name}" for name in _FOR_PROXIES),
        *_realm(),
        *(_cookie_rule(match, to) + " in_base" for match, to in _IN_BASE),
        f"{_cookie_rule(*_KEPT_BASE)} in_base {{ {KEEPS_PREFIX} }}",
        f"{_cookie_rule(*_UNMARKED)} in_base",
        *(_cookie_rule(match, to) + " !in_base" for match, to in _BY_HOST),
        *_location(),
    ]


# The base path is put before the value ("/runtime/1|…|name=…"), so that one static expression can compare with it; then
# each value matches one rule, which marks it done ("/runtime/1!name=…"), and the last takes the mark off. Only the first
# rule makes a value longer: HAProxy 2.6 hands out foreign memory when the values that one rule lengthens make it compact
# its buffer twice, so the padding already takes the room that the result may need, and REWRITABLE_COOKIES bounds the sum.
_PAD = "|" + _BASE + "|" + "#" * 8 + "|"
_B = r"^(/runtime/[0-9]+)\|\1\|########\|"
_TO_PATH = r"([^;]*;(?:.*;)?[ \t]*path[ \t]*="
_IN_BASE: tuple[tuple[str, str], ...] = (
    (r"^(.*)$", _BASE + _PAD + r"\1"),
    # The same attribute twice is a trick, or a mistake: only name and value stay.
    (rf"(?i){_B}([^;]*);(?:.*;)?[ \t]*(path|domain)[ \t]*=.*;[ \t]*\3[ \t]*=.*$", r"\1!\2; Path=\1/"),
    (r"(?i)^([^;]*(?:;.*)?);[ \t]*domain[ \t]*=[^;]*(;.*)?$", r"\1\2"),
    (rf"(?i){_B}{_TO_PATH}[ \t]*)\1(/[^;]*|[ \t]*)(;.*)?$", r"\1!\2\1\3\4"),
    (rf"(?i){_B}{_TO_PATH}[ \t]*)(/[^;]*)(;.*)?$", r"\1!\2\1\3\4"),
    (rf"(?i){_B}{_TO_PATH})[^;]*(;.*)?$", r"\1!\2\1/\3"),
    (rf"{_B}(.*)$", r"\1!\2; Path=\1/"),
)
# A framework that knows its base path may lead the home page to that path without a slash, where no cookie for
# "/runtime/1/" is sent; one for "/runtime/1" is, and no more than that (RFC 6265, 5.1.4).
_KEPT_BASE = (r"(?i)^(/runtime/[0-9]+)!([^;]*;(?:.*;)?[ \t]*path[ \t]*=[ \t]*)\1/[ \t]*(;.*)?$", r"\1!\2\1\3")
_UNMARKED = (r"^/runtime/[0-9]+!(.*)$", r"\1")
# On a name of its own an app's paths are its own; only a cookie for the whole domain would reach others.
_BY_HOST: tuple[tuple[str, str], ...] = (
    (r"(?i)^([^;]*);(?:.*;)?[ \t]*domain[ \t]*=.*;[ \t]*domain[ \t]*=.*$", r"\1"),
    (r"(?i)^([^;]*(?:;.*)?);[ \t]*domain[ \t]*=[^;]*(;.*)?$", r"\1\2"),
)


def _cookie_rule(match: str, to: str) -> str:
    return f"http-response replace-header Set-Cookie '{match}' '{to}' if has_cookie"


_CHALLENGES = 8
"""More are dropped: each is made longer (see ``_PAD``)."""


def _realm() -> list[str]:
    """A browser gives a name and password again to any page of the origin that asks for the same realm."""
    utf8, basic = '.*charset="?utf-8', r"(?:.*,)?[ \t]*basic(?:[ \t,].*)?$"
    replace, realm = "http-response replace-header WWW-Authenticate", f'Basic realm="{_BASE}"'
    return [
        f"http-response del-header WWW-Authenticate if in_base {{ res.fhdr_cnt(www-authenticate) gt {_CHALLENGES} }}",
        f"{replace} '(?i)^(?={utf8}){basic}' '{realm}, charset=\"UTF-8\"' if in_base",
        f"{replace} '(?i)^(?!{utf8}){basic}' '{realm}' if in_base",
    ]


def _location() -> list[str]:
    """Redirects to the gateway's own address get the base path; those to the container's own are led back to the gateway.

    An app that takes its address from where it listens says ``http://localhost:3000/x``, or names the container, as a
    standalone Next does by ``HOSTNAME``: our name for it, or the engine's, which is its short id. A visitor may mean this
    machine by ``localhost`` only where the gateway itself is reached by one, and then not the port that the app listens on.
    """
    foreign = r"(?!runtime/[0-9]+(?:[/?#]|$))"
    rooted = rf"'^/(?!/){foreign}(.*)$' '{_BASE}/\1'"
    absolute = rf"'(?i)^((?:https?:)?//[^/?#]+)(?:/{foreign}(.*)|([?#].*))?$' '\1{_BASE}/\2\3'"
    inside = r"'(?i)^(?:https?:)?//[^/?#]*/?(.*)$' '/\1'"
    replace = "http-response replace-header Location"
    loopback = r"^(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?$"
    goal = r"res.fhdr(location),field(3,/),field(1,?),field(1,\#),lower"
    return [
        f"http-response set-var(txn.goal) {goal} if {{ res.fhdr(location) -m reg -i ^(https?:)?// }}",
        "acl to_us var(txn.goal),strcmp(txn.authority) eq 0",
        r"acl to_container var(txn.goal) -m reg ^(0\.0\.0\.0|\[::\]|[0-9a-f]{12})(:[0-9]+)?$",
        f"http-response set-var(txn.container) str({CONTAINER_HOST}),concat(,txn.app)",
        "acl to_container var(txn.goal),field(1,:),strcmp(txn.container) eq 0",
        "acl to_container var(txn.goal),strcmp(txn.self) eq 0",
        f"acl to_loopback var(txn.goal) -m reg {loopback}",
        f"acl on_loopback var(txn.authority) -m reg {loopback}",
        "acl on_loopback var(txn.authority) -m end .localhost",
        "http-response set-var(txn.port) var(txn.route),field(3,/)",
        "acl to_its_port var(txn.goal),field(-1,:),strcmp(txn.port) eq 0",
        f"{replace} {inside} if has_location !to_us to_container",
        f"{replace} {inside} if has_location !to_us to_loopback !on_loopback",
        f"{replace} {inside} if has_location !to_us to_loopback to_its_port",
        f"{replace} {rooted} if has_location in_base",
        f"{replace} {absolute} if has_location in_base to_us",
    ]
