"""What containers say about apps. Pure: names and labels in, roles and repairs out.

An app's containers are distinguished by their *names*, the one thing that can be changed on a container, and atomically::

    rt-u-1-7            LIVE       what the app is; the only one that has the plain name
    rt-u-1-7-g3073      CANDIDATE  a generation being rolled out; nothing depends on it yet
    rt-u-1-7-g2049-old  RETIRED    was live; its successor has been verified. Drained, then removed
    rt-u-1-7-off        STOPPED    taken off line by its owner; kept, so that it can be started again

A rollout commits by two renames: live → retired, candidate → live. A crash between them leaves no live container but a
retired one: the newest candidate was verified then, and becomes live. Before the first rename a candidate counts for
nothing and is removed. So every moment has exactly one reading, and no file of ours has to agree with the engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from funai.agent.engine.contract import Container
from funai.contracts import naming
from funai.contracts.routes import Route, RouteState

INSTANCE = f"{naming.LABEL}.instance"
USER_ID = f"{naming.LABEL}.userId"
APP_ID = f"{naming.LABEL}.appId"
GENERATION = f"{naming.LABEL}.generation"
JOB_ID = f"{naming.LABEL}.jobId"
DIGEST = f"{naming.LABEL}.digest"
PORT = f"{naming.LABEL}.port"
ASKED_PORT = f"{naming.LABEL}.askedPort"
"""The port that was asked for; ``PORT`` is where the app was found to listen."""
HEALTH_PATH = f"{naming.LABEL}.healthPath"
BASE_PATH = f"{naming.LABEL}.basePath"
STRIP_PREFIX = f"{naming.LABEL}.stripPrefix"
IMAGE = f"{naming.LABEL}.image"
DATABASES = f"{naming.LABEL}.databases"
"""A fingerprint of the database addresses in its environment."""

_SUFFIX = re.compile(r"-(?:(?P<off>off)|g(?P<gen>\d+)(?P<old>-old)?)$")


class Role(StrEnum):
    LIVE = "live"
    CANDIDATE = "candidate"
    RETIRED = "retired"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Names:
    """The four names of one app. ``instance`` keeps two platforms on one engine apart; empty is the contract's name."""

    user_id: int
    app_id: int
    instance: str = ""

    @property
    def live(self) -> str:
        plain = naming.container_name(self.user_id, self.app_id)
        return f"{plain}.{self.instance}" if self.instance else plain

    @property
    def stopped(self) -> str:
        return f"{self.live}-off"

    def candidate(self, generation: int) -> str:
        return f"{self.live}-g{generation}"

    def retired(self, generation: int) -> str:
        return f"{self.live}-g{generation}-old"


def role(name: str) -> Role:
    found = _SUFFIX.search(name)
    if not found:
        return Role.LIVE
    if found["off"]:
        return Role.STOPPED
    return Role.RETIRED if found["old"] else Role.CANDIDATE


def number(container: Container, label: str) -> int:
    """A label as a number, 0 when it is missing or something else."""
    value = container.labels.get(label, "")
    return int(value) if value.isdecimal() else 0


def generation_of(container: Container) -> int:
    return number(container, GENERATION)


@dataclass(frozen=True, slots=True)
class AppView:
    """One app's containers by role; candidates and retired ones newest first."""

    app_id: int
    user_id: int = 0
    live: Container | None = None
    stopped: Container | None = None
    candidates: tuple[Container, ...] = ()
    retired: tuple[Container, ...] = ()

    @property
    def all(self) -> tuple[Container, ...]:
        return (*(c for c in (self.live, self.stopped) if c), *self.candidates, *self.retired)

    @property
    def kept(self) -> Container | None:
        """The release that the app is, running or stopped."""
        return self.live or self.stopped

    @property
    def newest_generation(self) -> int:
        return max((generation_of(c) for c in self.all), default=0)


def views(containers: Iterable[Container]) -> dict[int, AppView]:
    """Group by the app's label. A container without one is not ours and left out."""
    by_app: dict[int, list[Container]] = {}
    for container in containers:
        app_id = number(container, APP_ID)
        if app_id:
            by_app.setdefault(app_id, []).append(container)
    return {app_id: view(app_id, found) for app_id, found in by_app.items()}


def view(app_id: int, containers: Iterable[Container]) -> AppView:
    found = sorted(containers, key=lambda c: (generation_of(c), c.running), reverse=True)
    roles: Mapping[Role, list[Container]] = {r: [c for c in found if role(c.name) is r] for r in Role}
    live, stopped = roles[Role.LIVE], roles[Role.STOPPED]
    return AppView(
        app_id=app_id,
        user_id=number(found[0], USER_ID) if found else 0,
        live=live[0] if live else None,
        stopped=stopped[0] if stopped else None,
        candidates=tuple(roles[Role.CANDIDATE]),
        # Two can be live only by two forms of an older agent's name: one is the app.
        retired=(*live[1:], *roles[Role.RETIRED]),
    )


class Desired(StrEnum):
    SERVING = "serving"
    STOPPED = "stopped"
    GONE = "gone"
    """Nothing of it was ever verified: no container, no route."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What makes one app consistent again, in this order: rename, make the desired state true, route, drain, remove."""

    desired: Desired
    keep: Container | None = None
    """The container that is the app."""
    rename_to: str = ""
    """Its right name, when it has another."""
    drain: tuple[Container, ...] = ()
    """Were live until a moment ago: may hold connections."""
    remove: tuple[Container, ...] = field(default=())


def repair(app: AppView, instance: str = "") -> Repair:
    """After a crash, or between two deploys: what should be true, given nothing but the containers."""
    names = Names(app.user_id, app.app_id, instance)
    if app.live:
        gone = app.candidates + ((app.stopped,) if app.stopped else ())
        return Repair(Desired.SERVING, app.live, "", app.retired, gone)
    if app.stopped and app.retired and generation_of(app.stopped) >= generation_of(app.retired[0]):
        # It had followed them all when its owner stopped it: a stop that was cut before they were gone.
        return Repair(Desired.STOPPED, app.stopped, "", (), app.candidates + app.retired)
    if app.retired:
        stopped = (app.stopped,) if app.stopped else ()
        if app.candidates:
            promoted, *rest = app.candidates
            return Repair(Desired.SERVING, promoted, names.live, app.retired, (*rest, *stopped))
        restored, *old = app.retired
        return Repair(Desired.SERVING, restored, names.live, tuple(old), stopped)
    if app.stopped:
        return Repair(Desired.STOPPED, app.stopped, "", (), app.candidates)
    return Repair(Desired.GONE, None, "", (), app.candidates)


def route_to(container: Container, host: str, port: int) -> Route:
    return Route(
        number(container, APP_ID),
        RouteState.SERVING,
        host,
        port,
        generation_of(container),
        user_id=number(container, USER_ID),
        strip_prefix=container.labels.get(STRIP_PREFIX) != "false",
    )


def stopped_route(app_id: int) -> Route:
    return Route(app_id, RouteState.STOPPED)
