"""Routes as HAProxy map entries, on disk and over the runtime API. Pure.

An entry is ``<appId> <state>/<host>/<port>/<generation>[/<userId>[/k]]``; one lookup gives a request everything that its
way depends on, so that no request can see half of a switch. State: ``s`` serving, ``w`` starting, ``x`` stopped. ``k``: the
app keeps its prefix.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from funai.contracts.routes import Route, RouteState

STATE_WORDS = {RouteState.SERVING: "s", RouteState.STARTING: "w", RouteState.STOPPED: "x"}
_STATES = {word: state for state, word in STATE_WORDS.items()}
_BOOT = "# boot "
ADD_BYTES = 4_000
"""Largest payload of one ``add map``: it fits the runtime API's buffer, and holds a thread of the proxy only briefly."""


def key_of(app_id: int) -> str:
    return str(app_id)


def value_of(route: Route) -> str:
    """The entry's value. Raises ValueError for a route that no proxy could follow."""
    if route.app_id < 1:
        raise ValueError(f"an app id is positive, got {route.app_id}")
    if route.state is not RouteState.SERVING:
        return f"{STATE_WORDS[route.state]}/-/0/{route.generation}"
    address = ipaddress.ip_address(route.host)
    if not 0 < route.port < 65536:
        raise ValueError(f"app {route.app_id}: {route.port} is not a port")
    keep = "" if route.strip_prefix else "/k"
    more = f"/{route.user_id}{keep}" if route.user_id or keep else ""
    return f"s/{address}/{route.port}/{route.generation}{more}"


def parse_entry(key: str, value: str) -> Route | None:
    """The route behind an entry; None when it isn't one of ours."""
    parts = value.split("/")
    try:
        state = _STATES[parts[0]]
        app_id, port, generation = int(key), int(parts[2]), int(parts[3])
        user_id = int(parts[4]) if len(parts) > 4 else 0
    except (KeyError, ValueError, IndexError):
        return None
    serving = state is RouteState.SERVING
    route = Route(app_id, state, generation=generation)
    if serving:
        route = replace(route, host=parts[1], port=port, user_id=user_id, strip_prefix=parts[5:] != ["k"])
    try:
        return route if value_of(route) == value and key_of(app_id) == key else None
    except ValueError:
        return None


def entries(routes: Iterable[Route]) -> dict[str, str]:
    return {key_of(r.app_id): value_of(r) for r in routes}


def render_file(wanted: Mapping[str, str], boot: str) -> str:
    """The map file. ``boot`` tells which boot of the machine the addresses belong to."""
    return f"{_BOOT}{boot}\n" + "".join(f"{k} {v}\n" for k, v in wanted.items())


def parse_file(text: str, boot: str) -> dict[int, Route]:
    """The routes of a map file. From an earlier boot only the names count: addresses were dealt anew, so those
    apps are STARTING until the owner says where they are."""
    first, _, rest = text.partition("\n")
    known = first.startswith(_BOOT)
    same_boot = known and first.removeprefix(_BOOT).strip() == boot
    found: dict[int, Route] = {}
    for line in (rest if known else text).splitlines():
        key, _, value = line.strip().partition(" ")
        route = parse_entry(key, value)
        if route is None:
            continue
        if not same_boot and route.state is RouteState.SERVING:
            route = replace(route, state=RouteState.STARTING, host="", port=0)
        found[route.app_id] = route
    return found


def parse_show_map(text: str) -> dict[str, str]:
    """``show map <file>`` answers ``<reference> <key> <value>`` lines."""
    out: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(" ", 2)
        if len(parts) == 3 and parts[0].startswith("0x"):
            out[parts[1]] = parts[2].strip()
    return out


class Change(StrEnum):
    ADD = "add"
    SET = "set"
    DEL = "del"


@dataclass(frozen=True, slots=True)
class Edit:
    change: Change
    key: str
    value: str = ""

    def command(self, map_name: str) -> str:
        return f"{self.change} map {map_name} {self.key} {self.value}".rstrip()


def edit_for(have: Mapping[str, str], key: str, value: str | None) -> Edit | None:
    """What makes ``key`` have ``value`` (None: be absent) in a table that is ``have``; None when it already is so."""
    if value is None:
        return Edit(Change.DEL, key) if key in have else None
    if key not in have:
        return Edit(Change.ADD, key, value)
    return None if have[key] == value else Edit(Change.SET, key, value)


def edits(have: Mapping[str, str], want: Mapping[str, str]) -> list[Edit]:
    """What turns ``have`` into ``want``: removals first, because a removed app's address may be dealt again."""
    gone = [Edit(Change.DEL, k) for k in have if k not in want]
    return gone + [e for k, v in want.items() if (e := edit_for(have, k, v)) is not None]


def payloads(wanted: Mapping[str, str], limit: int = ADD_BYTES) -> list[str]:
    """The whole table as payloads for ``add map @version``, each under ``limit`` bytes."""
    out: list[str] = []
    lines: list[str] = []
    size = 0
    for k, v in wanted.items():
        line = f"{k} {v}\n"
        if lines and size + len(line) > limit:
            out.append("".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        out.append("".join(lines))
    return out
