"""How many of the gateway's connections may be taken by one app, one user, one source, and all apps together. Pure.

What is over a share is answered at once and its connection closed, so that new connections are always accepted: the
gateway's own pages, its health page and the owner's probes don't count.
"""

from __future__ import annotations

from funai.gateway.settings import GatewaySettings

INFLIGHT_TABLE = "inflight"
USERS, SOURCES = "inflight_users", "sources"
_APP, _USER, _SOURCE, _APPS, _FLOOD = 25, 33, 60, 90, 80
"""Per cent of all connections. ``_FLOOD`` bounds what one source may hold open, whether it asks for anything or not."""


def tables() -> list[list[str]]:
    """The sections of the stick tables."""
    sizes = {INFLIGHT_TABLE: "string len 64", USERS: "string len 20", SOURCES: "ipv6"}
    return [
        [f"backend {name} from base", f"stick-table type {kind} size 100k expire 10m store conn_cur"]
        for name, kind in sizes.items()
    ]


def at_the_frontend(s: GatewaySettings, max_connections: int) -> list[str]:
    """Rules for a new connection. A trusted proxy's own are not counted: what it forwards is, by who asked."""
    unless = " if !trusted_source" if s.trusted_proxies else ""
    lines = [f"acl trusted_source src {' '.join(s.trusted_proxies)}"] if s.trusted_proxies else []
    return [
        *lines,
        f"tcp-request connection track-sc2 src,ipmask(32,64) table {SOURCES}{unless}",
        f"tcp-request connection reject if {{ sc2_conn_cur gt {_part(max_connections, _FLOOD)} }}",
    ]


def of_apps(s: GatewaySettings, max_connections: int, key: str = "txn.to") -> tuple[list[str], str, str]:
    """(rules that count, condition "the app's or its user's share is used up", the same for the source and all apps)."""
    app = s.app_max_inflight or _part(max_connections, _APP)
    user = s.user_max_inflight or _part(max_connections, _USER)
    source = s.source_max_connections or _part(max_connections, _SOURCE)
    lines = [
        f"http-request track-sc0 var({key}) table {INFLIGHT_TABLE} if routed",
        f"http-request track-sc1 var(txn.owner) table {USERS} if {{ var(txn.owner) -m found }}",
        "http-request set-var(txn.zh) be_conn(apps_json_zh)",
        "http-request set-var(txn.en) be_conn(apps_json_en)",
        f"acl used_up sc0_conn_cur gt {app}",
        f"acl used_up sc1_conn_cur gt {user}",
        f"acl crowded sc2_conn_cur gt {source}",
        f"acl crowded be_conn(apps_html),add(txn.zh),add(txn.en) gt {_part(max_connections, _APPS)}",
    ]
    if s.trusted_proxies:
        chain = "req.hdr_ip(x-forwarded-for,-1)"
        lines.insert(0, f"http-request track-sc2 {chain},ipmask(32,64) table {SOURCES} if trusted {{ {chain} -m found }}")
    return lines, "used_up", "crowded"


def _part(whole: int, per_cent: int) -> int:
    return max(1, whole * per_cent // 100)
