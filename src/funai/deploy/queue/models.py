"""A job's row as the store hands it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """The columns of the job's table by their names, then those of its node where the statement joined it."""

    id: int
    type: str
    app_id: int | None
    status: str
    payload_json: str | None
    error_message: str | None
    runner_id: str | None
    lease_expire_at: int | None
    user_id: int | None
    attempt: int
    lease_token: str | None
    turn: int
    claimable: int
    wait_reason: str | None
    waiting_since_ms: int | None
    cancel_requested: int
    phase: str | None
    phase_message: str | None
    result_json: str | None
    failure_code: str | None
    failure_blame: str | None
    reason: str | None
    node_id: int | None
    env_sealed: str | None
    request_hash: str | None
    trace_id: str | None
    log_bytes: int
    log_next: int
    log_capped: int
    created_ms: int
    updated_ms: int
    started_ms: int | None
    finished_ms: int | None
    old_id: str | None
    target_node_id: int | None

    node_name: str | None = None
    node_agent: str | None = None
    node_gateway: str | None = None
    node_apps_url: str | None = None
    node_enabled: int | None = None
    node_weight: int | None = None
    node_last_heartbeat_ms: int | None = None
    node_disk_free_pct: float | None = None
    node_disk_free_bytes: int | None = None
    node_container_count: int | None = None
    own_url: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Out of a statement's row, which may have other columns too."""
        return cls(**{name: row[name] for name in _NAMES if name in row})


_NAMES = tuple(field.name for field in fields(JobRow))
