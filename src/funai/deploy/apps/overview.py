"""What the database alone knows of apps that were deployed: for whoever asks about many at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import rows_as
from funai.contracts import naming
from funai.contracts.nodes import AppOverview
from funai.contracts.wire import from_epoch_ms
from funai.deploy.compat.runners import base_path_without_release
from funai.deploy.placement.policy import Rules
from funai.deploy.queue.statements import alias_of, own_url_of
from funai.deploy.queue.views import payload_in
from funai.deploy.tables import app_run, job, release, runtime_node

_RELEASE = and_(release.c.app_id == app_run.c.app_id, release.c.number == app_run.c.live_release_number)
_RUNS = (
    select(
        app_run.c.app_id,
        app_run.c.stopped_ms,
        app_run.c.live_release_number,
        app_run.c.last_deployed_ms,
        runtime_node.c.name,
        runtime_node.c.gateway_base_url,
        runtime_node.c.apps_url,
        runtime_node.c.last_heartbeat_ms,
        runtime_node.c.crash_looping_json,
        release.c.base_path,
        job.c.payload_json,
        own_url_of(app_run.c.app_id).label("own_url"),
        alias_of(app_run.c.app_id).label("alias"),
    )
    .select_from(
        app_run.outerjoin(runtime_node, runtime_node.c.id == app_run.c.node_id)
        .outerjoin(release, _RELEASE)
        .outerjoin(job, and_(job.c.id == app_run.c.last_job_id, app_run.c.live_release_number.is_(None)))
    )
    .order_by(app_run.c.app_id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A row of ``_RUNS``."""

    app_id: int
    stopped_ms: int | None
    live_release_number: int | None
    last_deployed_ms: int | None
    name: str | None
    gateway_base_url: str | None
    apps_url: str | None
    last_heartbeat_ms: int | None
    crash_looping_json: str | None
    base_path: str | None
    payload_json: str | None
    own_url: str | None
    alias: str | None


async def of(conn: AsyncConnection, app_ids: Sequence[int], now_ms: int, rules: Rules) -> list[AppOverview]:
    """By app id; apps that were never deployed, or whose node isn't known, are left out, except apps that were taken off
    line with their node. In the caller's transaction."""
    known = or_(runtime_node.c.id.is_not(None), app_run.c.stopped_ms.is_not(None))
    runs = await rows_as(_Run, conn, _RUNS.where(app_run.c.app_id.in_(app_ids), known))
    return [_overview(run, now_ms, rules) for run in runs]


def _overview(run: _Run, now_ms: int, rules: Rules) -> AppOverview:
    app_id, gateway, heard_ms = run.app_id, run.gateway_base_url, run.last_heartbeat_ms
    speaks = heard_ms is not None and abs(now_ms - heard_ms) < rules.stale_ms
    return AppOverview(
        app_id=app_id,
        node_name=run.name,
        deploy_url=naming.deploy_url(gateway, _base_path(run)) if gateway else None,
        release=run.live_release_number,
        deployed_at=from_epoch_ms(run.last_deployed_ms) if run.last_deployed_ms else None,
        access_url=run.own_url or naming.access_url(run.apps_url, app_id),
        alias_url=naming.access_url(run.apps_url, run.alias) if run.alias else None,
        stopped=run.stopped_ms is not None,
        crash_looping=app_id in json.loads(run.crash_looping_json or "[]") if speaks else None,
    )


def _base_path(run: _Run) -> str:
    """The live release's, or the last job's."""
    return str(run.base_path or base_path_without_release(payload_in(run.payload_json)) or naming.base_path(run.app_id))
