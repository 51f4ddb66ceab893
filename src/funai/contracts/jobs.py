"""Jobs on the wire: what is to be done, by whom, and what became of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from funai.contracts import compat, rules
from funai.contracts.reasons import Blame, FailureCode
from funai.contracts.states import Change, JobStatus, JobType, Phase
from funai.contracts.wire import EntityId, Instant, Name, Wire

MAX_TEXT = 8_000
"""Characters kept of an error message."""
LOG_CHUNK_BYTES = 256 * 1024
"""Largest log chunk one call may carry, in UTF-8 bytes."""

MAX_PHASE_MESSAGE = 500

# Runners in the field were configured, and report, by no bounds of ours: what needn't be refused is made to fit.
LeaseSeconds = Annotated[int, Field(ge=1), AfterValidator(lambda asked: min(max(asked, 5), 86_400))]
PhaseWord = Annotated[Phase | None, BeforeValidator(lambda word: word if str(word) in Phase.__members__ else None)]
PhaseMessage = Annotated[str | None, AfterValidator(lambda text: text[:MAX_PHASE_MESSAGE] if text else text)]
Label = Annotated[str, Field(max_length=128)]


MaybePort = Annotated[int | None, BeforeValidator(rules.no_bool)]


class Payload(Wire):
    """What a job works on. Unknown fields are kept: older and newer peers may know more."""

    model_config = ConfigDict(extra="allow")

    user_id: EntityId | None = None
    app_id: EntityId | None = None
    app_name: str | None = Field(default=None, max_length=200)
    image: str | None = None
    container_port: MaybePort = None
    base_path: str | None = None
    repo_ssh_url: str | None = None
    git_ref: str | None = None
    dockerfile_path: str | None = None
    build_context: str | None = None
    acr_registry: str | None = None
    acr_namespace: str | None = None
    image_tag: str | None = None
    health_path: str | None = None
    strip_prefix: bool | None = None
    """(+) False: the app sees ``/runtime/{appId}`` in its requests' paths; None: what ``deploy/app.yaml`` says."""
    no_cache: bool | None = None
    """(+) True: nothing of earlier builds is used, not even the commit's image, and the app's build caches are emptied."""
    rollback_of: int | None = None
    """(+) The release number this job runs again."""
    move_of: int | None = None
    """(+) The release number that this job starts on another node; no new release comes of it."""
    env: dict[str, str] | None = None
    """(+) Plain variables; present only in a claim's answer."""
    build_env: list[str] | None = None
    """(+) Names of those variables that builds get too; present only in a claim's answer."""
    release: int | None = None
    """(+) The number that the release gets when the job succeeds; present only in a claim's answer."""
    env_sealed: str | None = Field(default=None, pattern=r"^[!-~]*$")
    """(+) The variables sealed with the platform's key; never shown to people."""
    secret_env: list[str] | None = None
    """(+) Names of variables that their owner marked as secret: masked wherever their values would be shown."""
    phase: Phase | None = None
    phase_message: str | None = None

    @field_validator("container_port")
    @classmethod
    def _port(cls, v: int | None) -> int | None:
        return v if v is None else rules.check_port(v)

    @field_validator("git_ref")
    @classmethod
    def _ref(cls, v: str | None) -> str | None:
        return v if v is None else rules.check_git_ref(v)

    @field_validator("image")
    @classmethod
    def _image(cls, v: str | None) -> str | None:
        return v if not v else str(rules.parse_image(v))

    @field_validator("dockerfile_path")
    @classmethod
    def _dockerfile(cls, v: str | None) -> str | None:
        return v if not v else rules.check_inner_path(v, "dockerfilePath")

    @field_validator("build_context")
    @classmethod
    def _context(cls, v: str | None) -> str | None:
        return v if not v else rules.check_inner_path(v, "buildContext")

    @field_validator("image_tag")
    @classmethod
    def _tag(cls, v: str | None) -> str | None:
        return v if not v else rules.check_tag(v)

    @field_validator("base_path")
    @classmethod
    def _base_path(cls, v: str | None) -> str | None:
        return v if not v else rules.check_base_path(v)

    @field_validator("repo_ssh_url")
    @classmethod
    def _repo(cls, v: str | None) -> str | None:
        return v if not v else rules.check_ssh_url(v)

    @field_validator("acr_registry")
    @classmethod
    def _registry(cls, v: str | None) -> str | None:
        return v if not v else rules.check_registry(v)

    @field_validator("acr_namespace")
    @classmethod
    def _namespace(cls, v: str | None) -> str | None:
        return v if not v else rules.check_namespace(v)


def _plain_id(given: object) -> object:
    """A Deploy in the field answers ``{"value": 7}``."""
    return given.get("value") if isinstance(given, dict) else given  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class RuntimeNodeRef(Wire):
    """The node a job was placed on, as a claim's answer and a Job carry it."""

    id: Annotated[int, BeforeValidator(_plain_id)]
    name: str
    agent_base_url: str
    gateway_base_url: str
    apps_url: str | None = None
    """(+) As :class:`~funai.contracts.nodes.NodeHeartbeat` has it."""
    enabled: bool | None = None
    """What follows is the node's state as callers in the field read it; absent in the answer to a change of the job."""
    weight: int | None = None
    last_heartbeat_at: Instant | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    container_count: int | None = None


class Failure(Wire):
    code: FailureCode | str
    blame: Blame | None = None


class JobResult(Wire):
    """What a finished job made. Unknown fields are kept."""

    model_config = ConfigDict(extra="allow")

    image: str | None = None
    digest: str | None = None
    git_sha: str | None = None
    container_port: int | None = None
    health_path: str | None = None
    strip_prefix: bool | None = None
    built: bool | None = None
    """False when the commit's image already existed, or the job had a prebuilt one."""
    phases_ms: dict[str, int] | None = None
    notes: list[str] | None = None
    """(+) What the app's owner should know although it serves, each in Chinese and English."""


class Job(Wire):
    id: int
    old_id: str | None = None
    """(+) The text that names the job at an older Deploy service, or named it before its installation was taken over."""
    type: JobType | str
    status: JobStatus
    payload: dict[str, object]
    error_message: str | None = None
    runner_id: str | None = None
    lease_expire_at: Instant | None = None
    runtime_node: RuntimeNodeRef | None = None
    deploy_url: str | None = None
    access_url: str | None = None
    """(+) The app's own address, where its node gives apps one: what people are given."""
    created_at: Instant
    updated_at: Instant
    attempt: int | None = None
    lease_token: str | None = None
    """(+) Only in a claim's answer."""
    cancel_requested: bool | None = None
    reason: str | None = None
    """(+) Why a PENDING job waits, or the final reason word."""
    queue_position: int | None = None
    """(+) 1 for the job the next claim would take; only while PENDING."""
    failure: Failure | None = None
    result: JobResult | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None

    @model_validator(mode="before")
    @classmethod
    def _text_id(cls, given: object) -> object:
        return compat.with_number(given)

    @property
    def wire_id(self) -> int | str:
        """What its Deploy service calls it."""
        return self.old_id if self.old_id and compat.stands_for_text(self.id) else self.id


class CreateJob(Wire):
    type: JobType
    payload: Payload
    idempotency_key: str | None = Field(default=None, max_length=200, pattern=r"^[ -~]*$")


class ClaimJob(Wire):
    runner_id: Name
    lease_seconds: LeaseSeconds = 30
    wait_seconds: float = Field(default=0, ge=0, le=50)
    labels: list[Label] = Field(default_factory=list[Label], max_length=32)


class HeartbeatJob(Wire):
    runner_id: Name
    extend_seconds: LeaseSeconds = 30
    phase: PhaseWord = None
    phase_message: PhaseMessage = None
    lease_token: str | None = Field(default=None, max_length=128)


class ReportJob(Wire):
    runner_id: Name
    status: JobStatus
    error_message: str | None = None
    lease_token: str | None = Field(default=None, max_length=128)
    result: JobResult | None = None
    failure: Failure | None = None


class TransitionJob(Wire):
    to_status: JobStatus
    error_message: str | None = None


class AppendLog(Wire):
    runner_id: Name
    offset: int = Field(ge=0)
    """UTF-8 byte offset of the chunk's first byte in the job's log."""
    chunk: str
    lease_token: str | None = Field(default=None, max_length=128)


class LogSlice(Wire):
    """Part of a job's log: ``chunk`` starts at byte ``offset``; go on from ``nextOffset``; ``final`` when no more comes."""

    offset: int
    next_offset: int
    chunk: str
    final: bool


class AppTarget(Wire):
    """Whose app a control-plane or agent call is about."""

    user_id: EntityId
    app_id: EntityId


class BuildRules(Wire):
    """What a Dockerfile may be built on beside public images; ``own`` is the app's repository when one was asked about."""

    registry: str = ""
    own: str = ""
    base_images: list[str] = Field(default_factory=list[str])
    """Prefixes of the platform's base images."""


class Release(Wire):
    """An app's successful deploy: number counts from 1 within the app."""

    app_id: int
    number: int
    job_id: int
    image: str
    digest: str | None = None
    git_sha: str | None = None
    git_ref: str | None = None
    container_port: int
    live: bool = False
    created_at: Instant


class SealedVariables(Wire):
    """(+) A release's variables as they are kept. Deploy answers them to the API alone; none: the release had no variables."""

    env_sealed: str | None = None


class VariableChange(Wire):
    """(+) A variable that differs between two releases; its values stay sealed."""

    name: str
    change: Change


class ReleaseComparison(Wire):
    """(+) What two releases of an app differ in."""

    old: Release
    new: Release
    variables: list[VariableChange] | None = None
    """By name. None: unknown (an older Deploy service, or variables sealed with another key)."""


class JobEvent(Wire):
    """One line of the audit trail."""

    id: int
    job_id: int
    app_id: int | None = None
    at: Instant
    actor: str
    source: str | None = None
    target: str | None = None
    attempt: int | None = None
    reason: str | None = None
    detail: str | None = None


class EventSlice(Wire):
    """What happened to jobs after a cursor, in the order of the events' ids; ``next`` is the next call's ``after``.

    A transaction that commits late may leave an event with a lower id behind the cursor: who follows looks now and then
    at the jobs themselves.
    """

    events: list[JobEvent] = Field(default_factory=list[JobEvent])
    next: int
