"""What instances say about an app: what it should be, and what makes it so. Pure.

A crash inside a commit leaves no live instance but a retired one: the newest candidate was verified then, and becomes live.
Before the commit a candidate counts for nothing and is removed. So every moment has exactly one reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from funai.agent.workload.contract import AppView, Endpoint, Instance
from funai.contracts.routes import Route, RouteState


class Desired(StrEnum):
    SERVING = "serving"
    STOPPED = "stopped"
    GONE = "gone"
    """Nothing of it was ever verified: no instance, no route."""


@dataclass(frozen=True, slots=True)
class Repair:
    """What makes one app consistent again, in this order: commit, make the desired state true, route, drain, remove."""

    desired: Desired
    keep: Instance | None = None
    """The instance that is the app."""
    commit: bool = False
    """It is to be made the live one first."""
    drain: tuple[Instance, ...] = ()
    """Were live until a moment ago: may hold connections."""
    remove: tuple[Instance, ...] = field(default=())


def repair(app: AppView) -> Repair:
    """After a crash, or between two deploys: what should be true, given nothing but the instances."""
    if app.live:
        gone = app.candidates + ((app.stopped,) if app.stopped else ())
        return Repair(Desired.SERVING, app.live, False, app.retired, gone)
    if app.stopped and app.retired and app.stopped.generation >= app.retired[0].generation:
        # It had followed them all when its owner stopped it: a stop that was cut before they were gone.
        return Repair(Desired.STOPPED, app.stopped, False, (), app.candidates + app.retired)
    if app.retired:
        stopped = (app.stopped,) if app.stopped else ()
        if app.candidates:
            promoted, *rest = app.candidates
            return Repair(Desired.SERVING, promoted, True, app.retired, (*rest, *stopped))
        restored, *old = app.retired
        return Repair(Desired.SERVING, restored, True, tuple(old), stopped)
    if app.stopped:
        return Repair(Desired.STOPPED, app.stopped, False, (), app.candidates)
    return Repair(Desired.GONE, None, False, (), app.candidates)


def route_to(instance: Instance, end: Endpoint) -> Route:
    return Route(
        instance.app_id,
        RouteState.SERVING,
        end.host,
        end.port,
        instance.generation,
        user_id=instance.user_id,
        strip_prefix=instance.strip_prefix,
    )


def stopped_route(app_id: int) -> Route:
    return Route(app_id, RouteState.STOPPED)
