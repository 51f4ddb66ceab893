"""What the agent asks of a container engine.

Contract of a driver:

* **Order**: ``create`` needs its image (``image``/``pull``) and its network (``ensure_network``) to be there; ``start``
  needs ``create``. ``rename``, ``stop``, ``remove``, ``inspect`` and ``logs`` work on a container in any state.
* **Concurrency**: every call may run beside every other; calls that change one container are serialised by the caller.
* **Idempotence**: ``start`` of a running container, ``stop`` of a stopped one, ``remove`` of one that is gone,
  ``rename`` to the name it has, ``ensure_network`` of one that exists, ``remove_network`` and ``remove_image`` of one
  that is gone all succeed. ``create`` of a name that exists answers the existing container when its labels are equal
  to the asked ones (a retry after a lost answer) and raises ``NameTaken`` otherwise.
* **Cancellation**: cancelling a call may leave its effect done or not done, never half done; call it again, or undo it.
* **Errors**: ``EngineUnreachable`` when nothing answered (retry later), ``NoSuchImage``, ``NoSuchContainer``,
  ``NameTaken``, ``PullFailed``, ``ImageUnusable``, and ``EngineRefused`` with the engine's own words for everything else.
* **Truth**: ``containers`` answers what exists now, of this instance only; nothing is cached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from funai.agent.workload.contract import (
    EngineInfo,
    FileHead,
    Gone,
    Image,
    Phase,
    Refused,
    ReleaseUnusable,
    Unreachable,
    WorkloadError,
)


class EngineError(WorkloadError):
    """Base of what a driver raises."""


class EngineUnreachable(EngineError, Unreachable):
    """No answer, or a broken one: the engine's service is down or restarting."""


class EngineRefused(EngineError, Refused):
    """The engine answered no; the text is its own."""


class NoSuchImage(EngineRefused):
    """The image is not in the engine's store."""


class ImageUnusable(EngineRefused, ReleaseUnusable):
    """The image itself can't be started: its USER, WORKDIR, ENTRYPOINT or CMD names what isn't in it."""


class NoSuchContainer(EngineRefused, Gone):
    """The container does not exist (any more)."""


class NameTaken(EngineRefused):
    """Another container has that name."""


class PullFailed(EngineRefused):
    """The image could not be pulled: not there, not allowed, or the registry did not answer."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in the engine's store that has a name."""

    id: str
    """Without ``sha256:``."""
    names: tuple[str, ...] = ()
    """``repository:tag``."""
    digests: tuple[str, ...] = ()
    """``repository@sha256:…``."""
    created: int = 0
    """When it was built, epoch seconds."""


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """``cpus`` in cores, ``memory`` and ``log_bytes`` in bytes; 0 means no limit."""

    cpus: float = 0
    memory: int = 0
    pids: int = 0
    log_bytes: int = 0
    memory_swap: int | None = None
    """Memory and swap together; None: as much as ``memory``, so that nothing is swapped."""
    cpu_shares: int = 0
    cpuset: str = ""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A bridge network. ``subnet`` like ``10.213.0.0/28``; ``interface`` is the bridge's name on the host (≤ 15)."""

    name: str
    subnet: str = ""
    interface: str = ""
    isolate: bool = True
    """Podman: other isolated networks can't reach this one. Docker: its containers can't reach each other."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Network:
    name: str
    subnet: str = ""
    """Empty when the engine chose it by itself: then addresses can't be fixed."""
    interface: str = ""
    """The bridge's name on the host; empty for what is no bridge."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A running container in a network, and its address there."""

    name: str
    labels: Mapping[str, str]
    address: str


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    name: str
    image: str
    port: int
    labels: Mapping[str, str]
    network: str
    address: str = ""
    """A fixed IPv4 address in the network, so that restarts don't move it; empty lets the engine choose."""
    publish: bool = False
    """Also publish ``port`` on a free port of 127.0.0.1 (where the host can't reach container addresses)."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    limits: Limits = Limits()
    capabilities: tuple[str, ...] = ()
    """The only capabilities kept."""
    restarts: int = 0
    """How often the engine itself restarts it after a failure before it leaves it to the agent."""
    hostname: str = ""
    """Empty: the engine's choice."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Path in the container → path on this host: what is there instead of the engine's own file, read-only."""
    init: bool = True
    """Whether the engine's init program is process 1 and the image's own command its child."""
    entrypoint: tuple[str, ...] = ()
    """What runs instead of the image's own command; empty: that."""
    beside: str = ""
    """Id of a container whose network namespace it shares, instead of ``network``."""
    health_check: bool = True
    """Whether the engine runs the image's HEALTHCHECK: proxies that read containers leave out one that is not healthy yet."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it is now. ``address`` and ``published`` are empty/0 while it doesn't run."""

    id: str
    name: str
    labels: Mapping[str, str]
    image: str
    phase: Phase
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    started_at: str = ""
    finished_at: str = ""
    """Of its latest end, also while it runs again; empty when it never ended."""
    address: str = ""
    published: int = 0
    pid: int = 0
    exposed: tuple[int, ...] = ()
    """TCP ports that the image says it listens on."""
    image_id: str = ""

    @property
    def running(self) -> bool:
        return self.phase is Phase.RUNNING


class Images(Protocol):
    async def image(self, ref: str) -> Image:
        """The local image. Raises NoSuchImage."""
        ...

    async def pull(self, ref: str, login: Login | None) -> Image:
        """Raises PullFailed."""
        ...

    async def remove_image(self, ref: str) -> bool:
        """Take a name away, and the image with its last name; never by force. False when it was not there or is in use."""
        ...

    async def images(self) -> list[StoredImage]: ...

    async def images_in_use(self) -> frozenset[str]:
        """Ids (as in StoredImage) of the images that containers, anybody's and in any phase, were made from."""
        ...


class Networks(Protocol):
    async def ensure_network(self, spec: NetworkSpec) -> Network:
        """Raises EngineRefused, for instance when the subnet or the interface is taken."""
        ...

    async def remove_network(self, name: str) -> None: ...

    async def networks(self) -> list[Network]:
        """All networks, also those of others: their subnets are taken."""
        ...

    async def neighbours(self, network: str) -> list[Neighbour]:
        """The running containers in a network, also those of others."""
        ...


class Engine(Images, Networks, Protocol):
    async def info(self) -> EngineInfo: ...

    async def create(self, spec: ContainerSpec) -> str:
        """Answers the id. Raises NoSuchImage, ImageUnusable, NameTaken, EngineRefused."""
        ...

    async def start(self, id: str) -> None:
        """Raises ImageUnusable, EngineRefused."""
        ...

    async def stop(self, id: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after ``grace`` seconds. The restart policy does not bring it back."""
        ...

    async def remove(self, id: str) -> None:
        """Also when it runs."""
        ...

    async def rename(self, id: str, name: str) -> None: ...

    async def inspect(self, id: str) -> Container:
        """Raises NoSuchContainer."""
        ...

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        """All with these labels, in any phase; details as in ``inspect``."""
        ...

    async def unlabelled(self, pattern: str, label: str) -> list[Container]:
        """All whose name matches the regular expression and that have no label of this name, in any phase."""
        ...

    async def read_file(self, id: str, path: str) -> FileHead | None:
        """The first 4 KiB of a file in a container in any phase, links followed; None when no regular file is there."""
        ...

    async def next_exit(self, id: str) -> int:
        """Wait until it ends (now, or the next time) and answer its exit code. Raises NoSuchContainer."""
        ...

    def logs(self, id: str, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        """stdout and stderr, merged; the last ``tail`` lines (all when None). ``follow`` goes on until it ends."""
        ...

    async def close(self) -> None: ...
