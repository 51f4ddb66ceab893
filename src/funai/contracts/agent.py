"""The runtime-agent's wire: plain objects, ids accepted as strings or integers and answered as strings."""

from __future__ import annotations

import json
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field

from funai.contracts import rules
from funai.contracts.wire import MAX_ID, Wire


def _id_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _in_range(value: str) -> str:
    if int(value) > MAX_ID:
        raise ValueError("is larger than any id")
    return value


AgentId = Annotated[str, BeforeValidator(_id_text), Field(pattern=r"^[1-9][0-9]{0,18}$"), AfterValidator(_in_range)]


def _usable_env(env: dict[str, str] | None) -> dict[str, str] | None:
    for name, value in (env or {}).items():
        rules.check_env_name(name)
        if "\0" in value or (not value.isprintable() and any(0xD800 <= ord(c) <= 0xDFFF for c in value)):
            raise ValueError(f"{name}: holds a character that no environment can")
    return env


def _removed(images: object) -> object:
    """Agents in the field answer ``{"removed": […], "kept": […]}``."""
    if isinstance(images, dict):
        removed: object = images.get("removed")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return removed if isinstance(removed, list) else []  # pyright: ignore[reportUnknownVariableType]
    return [] if images is None else images


def _as_text(mongo: object) -> object:
    """Agents in the field answer an object; what failed is its first word, as in our own answers."""
    if not isinstance(mongo, dict):
        return mongo
    mongo = cast("dict[str, object]", mongo)
    said = json.dumps(mongo, ensure_ascii=False, default=str)[:500]
    failed = bool(mongo.get("error")) or any(mongo.get(word) is False for word in ("ok", "success"))
    return f"failed: {said}" if failed else said


class HealthSpec(Wire):
    path: Annotated[str, AfterValidator(rules.check_health_path)] = "/"
    timeout_seconds: float = Field(default=60, ge=1, le=600)


class AgentDeploy(Wire):
    user_id: AgentId
    app_id: AgentId
    image: Annotated[str, AfterValidator(lambda v: str(rules.parse_image(v)))]
    container_port: Annotated[int, BeforeValidator(rules.no_bool), AfterValidator(rules.check_port)] = 3000
    base_path: Annotated[str, AfterValidator(lambda v: v and rules.check_base_path(v))] = ""
    strip_prefix: bool = True
    """(+) False: the gateway leaves ``base_path`` on the paths of requests, and the app answers below it."""
    job_id: int | None = None
    generation: int | None = Field(default=None, ge=0, le=2**63 - 1)
    health: HealthSpec | None = None
    env: Annotated[dict[str, str] | None, AfterValidator(_usable_env)] = None
    image_id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """(+) The digest of the image's configuration as its registry has it: an engine that holds an image with this id
    holds this very image, under whatever name, and need not pull it."""


class AgentDeployed(Wire):
    app_id: str
    container_name: str
    status: str = "DEPLOYED"
    preview_url: Annotated[str, BeforeValidator(lambda url: url or "")] = ""
    generation: int | None = None
    digest: str | None = None
    timings_ms: dict[str, int] | None = None
    verified: bool | None = None
    """(+) True when the gateway's public path answered from this generation before this answer was given."""
    port: int | None = None
    """(+) Where the app listens: the port that was asked for, or the one other that it was found to listen on."""
    notes: list[str] = Field(default_factory=list[str])
    """(+) What the app's owner should know, each in Chinese and English."""


class AgentApp(Wire):
    user_id: AgentId
    app_id: AgentId
    generation: int | None = Field(default=None, ge=0, le=2**63 - 1)
    """(+) The newest generation that whoever decided this knew of: an app that has a newer one is left alone (409
    ``STALE_GENERATION``), and after a stop or delete rollouts of this generation and older ones are refused."""


class AgentStopped(Wire):
    app_id: str
    status: str = "STOPPED"


class AgentDeleted(Wire):
    app_id: str
    status: str = "DELETED"
    images: Annotated[list[str], BeforeValidator(_removed)] = Field(default_factory=list)
    mongo: Annotated[str | None, BeforeValidator(_as_text)] = None


class AgentStatus(Wire):
    app_id: str
    container_name: str
    exists: bool
    running: bool
    image: str | None = None
    port: int | None = None
    generation: int | None = None
    restart_count: int | None = None
    crash_looping: bool | None = None
    exit_code: int | None = None
    started_at: str | None = None
    last_exit_code: int | None = None
    """(+) Of its latest end, also while it runs again; None when that was not seen."""
    last_exit_at: str | None = None
    """(+) When it ended last, as the engine writes a time."""


class CleanupOrphaned(Wire):
    existing_app_ids: list[AgentId] = Field(max_length=100_000)


class DeployFailure(Wire):
    """The ``detail`` of the agent's 4xx/5xx on a rollout that failed: why, with the container's last lines."""

    code: str
    message: str
    exit_code: int | None = None
    oom_killed: bool | None = None
    log_tail: list[str] = Field(default_factory=list)
