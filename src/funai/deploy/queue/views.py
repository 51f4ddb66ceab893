"""A job's row as the wire shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from funai.contracts import naming
from funai.contracts.apps import variables
from funai.contracts.jobs import Failure, Job, JobResult, RuntimeNodeRef
from funai.contracts.reasons import Blame
from funai.contracts.states import JobStatus
from funai.contracts.wire import from_epoch_ms
from funai.deploy.queue.models import JobRow


def payload_in(text: str | None) -> dict[str, Any]:
    """The payload as it was kept; what is sealed is not in it."""
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        found = None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def payload_of(row: JobRow) -> dict[str, Any]:
    """The payload with the phase in it."""
    payload = payload_in(row.payload_json)
    if row.phase:
        payload["phase"] = row.phase
        if row.phase_message:
            payload["phaseMessage"] = row.phase_message
    return payload


def run_of(row: JobRow) -> dict[str, Any]:
    """The run as callers in the field read it: in the payload, its begin in epoch milliseconds."""
    if not row.attempt:
        return {}
    return {"attempt": row.attempt, **({"runStartedAt": row.started_ms} if row.started_ms else {})}


def node_of(row: JobRow) -> RuntimeNodeRef | None:
    if row.node_id is None or row.node_name is None:
        return None
    return RuntimeNodeRef(
        id=row.node_id,
        name=row.node_name,
        agent_base_url=row.node_agent or "",
        gateway_base_url=row.node_gateway or "",
        apps_url=row.node_apps_url or None,
        **_state_of(row),
    )


def _state_of(row: JobRow) -> dict[str, Any]:
    """The node's state, where the row has it."""
    if row.node_enabled is None:
        return {}
    return {
        "enabled": bool(row.node_enabled),
        "weight": row.node_weight,
        "last_heartbeat_at": _instant(row.node_last_heartbeat_ms),
        "disk_free_pct": row.node_disk_free_pct,
        "disk_free_bytes": row.node_disk_free_bytes,
        "container_count": row.node_container_count or 0,
    }


def job_of(row: JobRow, *, node: RuntimeNodeRef | None = None, position: int | None = None) -> Job:
    """The Job as any caller may see it: no lease token, no variables."""
    status, payload = JobStatus(row.status), payload_of(row)
    payload |= run_of(row)
    node = node or node_of(row)
    blame = Blame(row.failure_blame) if row.failure_blame else None
    return Job(
        id=row.id,
        old_id=row.old_id,
        type=row.type,
        status=status,
        payload=payload,
        error_message=row.error_message,
        runner_id=row.runner_id,
        lease_expire_at=_instant(row.lease_expire_at),
        runtime_node=node,
        deploy_url=_url(node, row.app_id, payload),
        access_url=row.own_url or _own(node, row.app_id),
        created_at=from_epoch_ms(row.created_ms),
        updated_at=from_epoch_ms(row.updated_ms),
        attempt=row.attempt or None,
        cancel_requested=True if row.cancel_requested else None,
        reason=row.reason if status.final else row.wait_reason if status is JobStatus.PENDING else None,
        queue_position=position,
        failure=None if row.failure_code is None else Failure(code=row.failure_code, blame=blame),
        result=JobResult.model_validate_json(row.result_json) if row.result_json else None,
        started_at=_instant(row.started_ms),
        finished_at=_instant(row.finished_ms),
    )


def claimed(row: JobRow, node: RuntimeNodeRef | None, env: dict[str, str] | None, release: int | None) -> Job:
    """What only the claimer gets: the token of its lease, the variables in the clear, the number of a release to be."""
    job = job_of(row, node=node)
    job.lease_token = row.lease_token
    if release is not None:
        job.payload["release"] = release
    if env and "moveOf" in job.payload:
        job.payload["secretEnv"] = sorted(env)  # which of them are marked is the API's to know: all are masked
    if env:
        job.payload["env"] = variables.values_of(env)
        if names := variables.build_names(env):
            job.payload["buildEnv"] = names
    return job


def _instant(ms: int | None) -> Any:
    return None if ms is None else from_epoch_ms(ms)


def _own(node: RuntimeNodeRef | None, app_id: int | None) -> str | None:
    return naming.access_url(node.apps_url, app_id) if node and app_id is not None else None


def _url(node: RuntimeNodeRef | None, app_id: int | None, payload: Mapping[str, Any]) -> str | None:
    if node is None or not node.gateway_base_url or app_id is None:
        return None
    return naming.deploy_url(node.gateway_base_url, payload.get("basePath") or naming.base_path(app_id))
