"""What the agent asks of whatever runs apps: a container engine, or an orchestrator's API.

An app has instances, one for each generation that is there. Their role says what each one is to the app::

    LIVE       what the app is; at most one
    CANDIDATE  a generation being rolled out; nothing depends on it yet
    RETIRED    was live; its successor has been verified. Drained, then removed
    STOPPED    taken off line by its owner; kept, so that it can be started again

Contract of a driver:

* **Order**: ``apply`` needs the image to be there. Every other call works on an instance in any phase.
* **Concurrency**: every call may run beside every other; calls that change one app are serialised by the caller.
* **Idempotence**: ``start`` of a running instance, ``stop`` of a stopped one, ``remove`` of one that is gone, ``commit`` and
  ``set_aside`` to the role it has, and ``forget`` all succeed. ``apply`` first removes the app's other candidates.
* **Commit**: one that was cut leaves either the roles of before, or no LIVE instance, ``over`` RETIRED and the new one
  CANDIDATE. The latter says that the new one was verified (``reconcile.state.repair``).
* **Cancellation**: cancelling a call may leave its effect done or not done, or a candidate; call it again, or undo it.
* **Errors**: ``Unreachable`` when nothing answered (retry later), ``Gone``, ``ReleaseUnusable``, and ``Refused`` with the
  driver's own words for everything else.
* **Truth**: ``look`` and ``everything`` answer what exists now, of this platform only; nothing is cached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from funai.contracts import naming
from funai.contracts.agent import AgentDeploy


class WorkloadError(Exception):
    """Base of what a driver raises."""


class Unreachable(WorkloadError):
    """No answer, or a broken one: what runs the apps is down or restarting."""


class Refused(WorkloadError):
    """The answer was no; the text is the driver's own."""


class ReleaseUnusable(Refused):
    """The image itself can't be started: its USER, WORKDIR, ENTRYPOINT or CMD names what isn't in it."""


class Gone(Refused):
    """The instance does not exist (any more)."""


class Role(StrEnum):
    LIVE = "live"
    CANDIDATE = "candidate"
    RETIRED = "retired"
    STOPPED = "stopped"


class Phase(StrEnum):
    CREATED = "created"
    """Made, never started."""
    RUNNING = "running"
    RESTARTING = "restarting"
    """It ended and is about to be started again by what runs it."""
    EXITED = "exited"
    """It ended, and is left so."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs the apps of this node."""

    kind: str
    """``podman`` or ``docker``."""
    version: str
    rootless: bool = False
    data_root: str = ""
    """The folder whose disk fills up with images and containers."""
    platform: str = ""
    """What it runs, as images name it: ``linux/amd64``."""
    missing_limits: tuple[str, ...] = ()
    """Limits that this engine on this kernel ignores: ``cpu``, ``memory``, ``pids``."""

    @property
    def title(self) -> str:
        return f"{self.kind} {self.version}"


@dataclass(frozen=True, slots=True)
class Image:
    id: str
    digests: tuple[str, ...] = ()
    """``sha256:…`` manifest digests under which registries know it."""
    platform: str = ""
    """What it was built for: ``linux/arm64``."""
    command: tuple[str, ...] = ()
    """Its ENTRYPOINT and CMD together: what an instance of it runs."""
    path: tuple[str, ...] = ()
    """The folders where a program without a slash is looked for, from its PATH."""
    workdir: str = "/"


@dataclass(frozen=True, slots=True)
class FileHead:
    """The beginning of a regular file in an instance. ``path`` is where its links lead; ``mode`` its permission bits."""

    path: str
    mode: int
    head: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Generation:
    """A release as it is to be run. ``asked`` is the rollout's request, ``port`` where the app is expected to listen."""

    asked: AgentDeploy
    number: int
    image: str
    """The name or id under which the image is there."""
    digest: str
    port: int
    init: bool = True
    """Whether an init program is process 1 and the image's own command its child."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One generation of an app as it is now. ``endpoint`` is None and ``pid`` 0 while it doesn't run."""

    key: str
    """The driver's own; the same for the instance's whole life."""
    name: str
    """As the driver's tools show it: for people and logs."""
    app_id: int
    role: Role
    phase: Phase
    user_id: int = 0
    generation: int = 0
    image: str = ""
    """The reference that was asked for."""
    digest: str | None = None
    port: int = 0
    """Where the app listens."""
    asked_port: int = 0
    """The port that was asked for; 0 when that isn't known."""
    base_path: str = ""
    strip_prefix: bool = True
    health_path: str = "/"
    databases: str = ""
    """A fingerprint of the database addresses in its environment."""
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    started_at: str = ""
    finished_at: str = ""
    """Of its latest end, also while it runs again; empty when it never ended."""
    address: str = ""
    """The address that it keeps for its whole life; empty where none is fixed."""
    endpoint: Endpoint | None = None
    """Where the gateway finds it."""
    home: Endpoint | None = None
    """Where the gateway will find it when it runs again; None where that is decided anew."""
    pid: int = 0
    """Its first process as this host numbers it; 0 where it runs elsewhere too."""

    @property
    def running(self) -> bool:
        return self.phase is Phase.RUNNING

    @property
    def up(self) -> bool:
        """Running, or about to be."""
        return self.phase in (Phase.RUNNING, Phase.RESTARTING)


@dataclass(frozen=True, slots=True)
class AppView:
    """One app's instances by role; candidates and retired ones newest first."""

    app_id: int
    user_id: int = 0
    live: Instance | None = None
    stopped: Instance | None = None
    candidates: tuple[Instance, ...] = ()
    retired: tuple[Instance, ...] = ()

    @property
    def all(self) -> tuple[Instance, ...]:
        return (*(c for c in (self.live, self.stopped) if c), *self.candidates, *self.retired)

    @property
    def kept(self) -> Instance | None:
        """The release that the app is, running or stopped."""
        return self.live or self.stopped

    @property
    def newest_generation(self) -> int:
        return max((c.generation for c in self.all), default=0)


def views(instances: Iterable[Instance]) -> dict[int, AppView]:
    by_app: dict[int, list[Instance]] = {}
    for instance in instances:
        by_app.setdefault(instance.app_id, []).append(instance)
    return {app_id: view(app_id, found) for app_id, found in by_app.items()}


def view(app_id: int, instances: Iterable[Instance]) -> AppView:
    found = sorted(instances, key=lambda c: (c.generation, c.running), reverse=True)
    roles = {role: [c for c in found if c.role is role] for role in Role}
    live, stopped = roles[Role.LIVE], roles[Role.STOPPED]
    return AppView(
        app_id=app_id,
        user_id=found[0].user_id if found else 0,
        live=live[0] if live else None,
        stopped=stopped[0] if stopped else None,
        candidates=tuple(roles[Role.CANDIDATE]),
        # Two can be live only by two forms of an older agent's name: one is the app.
        retired=(*live[1:], *roles[Role.RETIRED]),
    )


def base_path(wanted: AgentDeploy) -> str:
    return wanted.base_path or naming.base_path(int(wanted.app_id))


def health_path(wanted: AgentDeploy) -> str:
    return wanted.health.path if wanted.health else "/"


class Leads(Protocol):
    """Leads a proxy that reads its routes from instances. For every other proxy it is not ``active`` and does nothing."""

    @property
    def active(self) -> bool: ...

    async def lead_to(self, target: Instance) -> None:
        """Return when new requests come to ``target`` alone; where that can't be had, the reason is logged."""
        ...

    async def apps(self) -> frozenset[int]:
        """Apps for which ``lead_to`` left something behind."""
        ...

    async def clear(self, app_id: int) -> None:
        """Remove that: the app has one instance."""
        ...


class Workloads(Protocol):
    @property
    def leads(self) -> Leads: ...

    def name(self, user_id: int, app_id: int) -> str:
        """What the app's live instance is called."""
        ...

    async def look(self, app_id: int) -> AppView:
        """One app; a view without instances when it has none."""
        ...

    async def everything(self) -> dict[int, AppView]:
        """All apps of this platform that have an instance in any phase."""
        ...

    async def again(self, instance: Instance) -> Instance:
        """The instance as it is now. Raises Gone."""
        ...

    async def apply(self, before: AppView, wanted: Generation) -> Instance:
        """Start a candidate beside what the app has. Waits for a driver that restarts. Raises ReleaseUnusable, Refused.

        What a failure leaves of it is a candidate.
        """
        ...

    async def next_end(self, instance: Instance) -> int:
        """Wait until it ends (now, or the next time) and answer its exit code. Raises Gone."""
        ...

    async def commit(self, new: Instance, over: Instance | None = None) -> None:
        """Make ``new``, in whatever role, the LIVE one and ``over`` a RETIRED one; ``over`` may be gone. Raises Gone."""
        ...

    async def set_aside(self, instance: Instance) -> None:
        """Make it the STOPPED one; it goes on running until ``stop``. Raises Gone."""
        ...

    async def start(self, instance: Instance) -> None:
        """Start it again. Raises ReleaseUnusable, Refused."""
        ...

    async def stop(self, instance: Instance, grace: float) -> None:
        """Ask it to end, and end it after ``grace`` seconds. It is not started again by itself. Raises Gone."""
        ...

    async def remove(self, instance: Instance) -> None:
        """Also when it runs."""
        ...

    async def forget(self, app_id: int) -> None:
        """Remove what the app has beside its instances, such as its network, when it has none any more."""
        ...

    async def read_file(self, instance: Instance, path: str) -> FileHead | None:
        """The first 4 KiB of a file in it, links followed; None when no regular file is there."""
        ...

    def logs(self, instance: Instance, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        """stdout and stderr, merged; the last ``tail`` lines (all when None). ``follow`` goes on until it ends."""
        ...
