"""Runtime nodes and runners on the wire."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from funai.contracts import compat
from funai.contracts.apps.moves import DrainProgress, Move
from funai.contracts.states import NodeHealth
from funai.contracts.wire import EntityId, Instant, Name, Wire, clamped

BaseUrl = Annotated[str, Field(max_length=500, pattern=r"^https?://[A-Za-z0-9\[\]._:-]+(/[A-Za-z0-9._~/%:@!$&'()*+,;=-]*)?$")]

MaybeUrl = Annotated[BaseUrl | None, BeforeValidator(lambda url: None if url == "" else url)]
"""An agent in the field sends what it was not configured with as an empty text."""


AppsUrl = Annotated[str, Field(max_length=300, pattern=r"^(https?://\{app\}\.[A-Za-z0-9.-]+(:[0-9]{1,5})?/)?$")]
"""A template such as ``https://{app}.apps.example.com/``; empty where apps have no addresses of their own."""


class NodeHeartbeat(Wire):
    node_name: Name
    agent_base_url: MaybeUrl = None
    gateway_base_url: MaybeUrl = None
    apps_url: AppsUrl | None = None
    """(+) Where people reach this node's apps by names of their own."""
    upstream_url: MaybeUrl = None
    """(+) Where the edge reaches this node's gateway; None: at ``gateway_base_url``."""
    disk_free_pct: float | None = Field(default=None, ge=0, le=100)
    disk_free_bytes: int | None = Field(default=None, ge=0, le=2**63 - 1)
    container_count: int | None = Field(default=None, ge=0, le=1_000_000)
    cpu_pct: float | None = Field(default=None, ge=0, le=100)
    memory_free_bytes: int | None = Field(default=None, ge=0, le=2**63 - 1)
    memory_bytes: int | None = Field(default=None, ge=0, le=2**63 - 1)
    """(+) All of the machine's."""
    app_memory_bytes: int | None = Field(default=None, ge=0, le=2**63 - 1)
    """(+) What an app there may use; 0 where it has no limit."""
    capacity: int | None = Field(default=None, ge=0, le=1_000_000)
    engine: str | None = Field(default=None, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")
    agent_version: str | None = Field(default=None, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")
    """(+) The agent's own version."""
    problem: Annotated[str, Field(max_length=500)] | None = None
    """(+) What hinders the apps there, in words; empty when nothing does, None from agents that don't look."""
    crash_looping: list[EntityId] = Field(default_factory=list[EntityId], max_length=1_000)
    """(+) Apps whose container keeps restarting."""
    walls_revision: Annotated[str, Field(max_length=64)] | None = None
    """(+) Of the walls that the node has; empty: it has none yet. None from agents that know of none."""


def _destination(text: str) -> str:
    network, colon, port = text.partition(":")
    IPv4Network(network)
    if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("no such port")
    return text


Destination = Annotated[str, Field(max_length=32), AfterValidator(_destination)]
"""``10.0.0.0/24``, ``10.0.0.5`` or ``10.0.0.5:443`` (TCP)."""
MAX_WALLS = 10_000


class Walls(Wire):
    """(+) Addresses of the platform that no app may reach, on every node. ``revision`` changes with them."""

    revision: str = Field(min_length=1, max_length=64)
    deny: list[Destination] = Field(default_factory=list[Destination], max_length=MAX_WALLS)
    open: list[Destination] = Field(default_factory=list[Destination], max_length=MAX_WALLS)
    """The public entries, which may be on denied machines."""


class Removal(Wire):
    """An app that a node is to remove because it serves elsewhere, was stopped, or was not to be started there."""

    app_id: int
    generation: int
    """What is newer stays."""


class NodeHeartbeatAnswer(Wire):
    """What a node learns from its heartbeat."""

    node_id: int
    health: NodeHealth
    stale_placements: list[int] = Field(default_factory=list[int])
    """(+) Apps placed elsewhere meanwhile: what still runs of them here can go."""
    removals: list[Removal] | None = None
    """(+) Those of ``stale_placements`` whose owner still has them: their databases stay."""
    walls: Walls | None = None
    """(+) When the node has others; None: nothing changed."""


class RuntimeNode(Wire):
    id: int
    node_id: int = 0
    """``id`` again, by the name that older callers read."""
    name: str
    agent_base_url: str | None = None
    gateway_base_url: str | None = None
    apps_url: str | None = None
    """(+) As :class:`NodeHeartbeat` has it."""
    enabled: bool
    weight: int
    health: NodeHealth
    last_heartbeat_at: Instant | None = None
    last_heartbeat_at_ms: int | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None
    memory_free_bytes: int | None = None
    """(+) As the node last reported, as is what follows."""
    cpu_pct: float | None = None
    agent_version: str | None = None
    placements: int | None = None
    engine: str | None = None
    problem: str | None = None
    """(+) What hinders the apps there, as the node last reported."""
    crash_looping: list[int] = Field(default_factory=list[int])
    """(+) Apps whose container kept restarting when the node last reported."""
    memory_bytes: int | None = None
    """(+) All of the machine's."""
    drain: DrainProgress | None = None
    """(+) What empties the node now, or did last."""
    held: bool = False
    """(+) Silent beyond the grace, but its apps stay: more than half of the nodes are silent."""


class UpsertNode(Wire):
    name: Name
    agent_base_url: MaybeUrl = None
    gateway_base_url: MaybeUrl = None
    enabled: bool | None = None
    weight: int | None = Field(default=None, ge=1, le=10_000)


class NodeRemoved(Wire):
    """(+) What went with a node that was removed."""

    node_id: int
    name: str
    apps: list[int] = Field(default_factory=list[int])
    """Apps that it had: they are off line, and their next deploy or start goes to another node."""


class CredentialKind(StrEnum):
    RUNNER = "runner"
    """Goes as ``X-Runner-Token``."""
    NODE = "node"
    """Goes as ``X-RT-Node-Token``."""
    EDGE = "edge"
    """(+) Goes as ``X-Edge-Token``."""


class NewCredential(Wire):
    kind: CredentialKind
    name: Name
    """Of the runner or node that it is made for."""


class Credential(Wire):
    """(+) A runner's or node's own secret, beside the shared one; revoked alone."""

    id: int
    kind: CredentialKind
    name: str
    created_at: Instant
    token: str | None = None
    """Shown once, when it is made; only its hash is kept."""


class NewJoinToken(Wire):
    """(+) A token is asked for; with a name it is good for that node alone, whether Deploy knows the node or not."""

    name: Name | None = None
    ttl_seconds: int = Field(default=3600, ge=60, le=7 * 86_400)


class JoinToken(Wire):
    """(+) Lets one machine join as a node, once."""

    token: str
    """Shown once; only its hash is kept."""
    name: str | None = None
    expires_at: Instant


class JoinNode(Wire):
    """(+) A machine trades its token for a node."""

    token: str = Field(min_length=1, max_length=200)
    name: Name
    agent_base_url: BaseUrl
    gateway_base_url: BaseUrl


class NodeJoined(Wire):
    node_id: int
    name: str
    credential: str
    """The node's own ``X-RT-Node-Token``; shown once."""
    agent_token: str | None = None
    """What Deploy and the Runners send to agents as ``X-Runtime-Token``; None where Deploy calls none."""


class NodeStanding(Wire):
    """(+) What Deploy knows of the node that asks."""

    node_id: int
    name: str
    health: NodeHealth
    last_heartbeat_at_ms: int | None = None
    now_ms: int
    """The database's clock, by which heartbeats are dated."""
    placements: int = 0


class LeaveNode(Wire):
    """(+) The node that asks is forgotten, and its credential with it."""

    node_name: Name
    with_apps: bool = False
    """Also while apps are placed there; they count as stopped."""


class ReassignApp(Wire):
    app_id: EntityId
    target_node_id: EntityId


class DrainNode(Wire):
    source_node_id: EntityId
    target_node_id: EntityId | None = None
    limit: Annotated[int, clamped(1, 2_000)] = 100


class MovedApp(Wire):
    app_id: int
    target_node_id: int


class SkippedApp(Wire):
    app_id: int
    reason: str


class DrainReport(Wire):
    """What a drain did: apps that now belong elsewhere, apps it left (with why), apps still on the source node.

    Running apps move one after the other: ``moving`` are the apps that ``drain_id`` goes on with.
    """

    source_node_id: int
    moved: list[MovedApp] = Field(default_factory=list[MovedApp])
    skipped: list[SkippedApp] = Field(default_factory=list[SkippedApp])
    remaining: int = 0
    drain_id: int | None = None
    """(+)"""
    moving: list[int] | None = None
    """(+) Ids of apps; None: there are none."""
    moved_count: int | None = Field(default=None, exclude=True)
    """(+) Set where a Deploy service of before said how many, and not which."""

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, given: Any) -> Any:
        return compat.drain_report(given)

    @property
    def placed_elsewhere(self) -> int:
        return len(self.moved) if self.moved_count is None else self.moved_count


class DrainCount(Wire):
    """The same as older callers of Deploy read it: a number in place of a list."""

    source_node_id: int
    moved: int
    remaining: int
    drain_id: int | None = None
    """(+)"""

    @classmethod
    def of(cls, report: DrainReport) -> DrainCount:
        moved = len(report.moved) + len(report.moving or ())
        return cls(source_node_id=report.source_node_id, moved=moved, remaining=report.remaining, drain_id=report.drain_id)


class Placement(Wire):
    app_id: int
    node_id: int
    last_active_at: Instant | None = None
    created_at: Instant
    move: Move | None = None
    """(+) The move that a reassign began; the app belongs to ``node_id`` until it serves on the move's target."""


class PlacedApp(Wire):
    """A placement as operators' pages read it."""

    app_id: str
    node_id: int
    last_active_at: int | None = None
    """Epoch milliseconds."""
    created_at: Instant


class Placements(Wire):
    node_id: int | None = None
    total: int
    items: list[PlacedApp] = Field(default_factory=list[PlacedApp])


MAX_OVERVIEW = 200


class AppsQuestion(Wire):
    """(+) The API asks Deploy about several apps at once."""

    app_ids: list[EntityId] = Field(max_length=MAX_OVERVIEW)


class AppOverview(Wire):
    """(+) What Deploy knows of an app that was deployed, without asking its node."""

    app_id: int
    node_name: str | None = None
    deploy_url: str | None = None
    """Where what was deployed last is reached now."""
    release: int | None = None
    """The release that it runs, or would run again; None where an older runner's report made none."""
    deployed_at: Instant | None = None
    """When that was deployed."""
    access_url: str | None = None
    """(+) The app's own address, where its node gives apps one."""
    alias_url: str | None = None
    """(+) The same with a readable name, where the app has one."""
    stopped: bool = False
    """It was taken off line, and not started or deployed since."""
    crash_looping: bool | None = None
    """As its node last reported; None while the node is silent."""


class RunnerInfo(Wire):
    runner_id: str
    last_seen_at: Instant
    last_seen_at_ms: int | None = None
    healthy: bool
    health: str | None = None
    """``HEALTHY`` or ``STALE``, as older callers read it."""
    running_jobs: int = 0
    labels: list[str] = Field(default_factory=list)
