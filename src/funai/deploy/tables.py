"""Deploy's tables: the four that existing installations have, with our columns added, and our own.

Column names of the four are the contract's and never change. Times are epoch milliseconds by the database's clock
(``…_ms``, and ``lease_expire_at``); ``create_time``/``update_time`` and the other unmarked times of the four are kept
for people and older tools and are never read here. Small flags are 0/1, the same in all three databases.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)

from funai.base.db.columns import UNICODE, BigId, LongBytes, LongText, leading_index, partial_index

metadata = MetaData()


def _times() -> list[Column[Any]]:
    """Given at every insert: an existing installation's column may be NOT NULL without a default."""
    now = func.current_timestamp
    return [
        Column("create_time", DateTime, default=now(), server_default=now(), nullable=False),
        Column("update_time", DateTime, default=now(), onupdate=now(), server_default=now(), nullable=False),
    ]


def _flag(name: str, default: int) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, default=default, server_default=str(default))


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=default, server_default=str(default))


job = Table(
    "fun_ai_deploy_job",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("type", String(64), nullable=False),
    Column("app_id", BigInteger),
    Column("status", String(32), nullable=False),
    Column("payload_json", LongText),
    Column("error_message", LongText),
    Column("runner_id", String(128)),
    Column("lease_expire_at", BigInteger),
    *_times(),
    Column("version", BigInteger, default=0, server_default="0"),
    # ours
    Column("user_id", BigInteger),
    _number("attempt"),
    Column("lease_token", String(64)),
    _number("turn"),
    _flag("claimable", 1),  # while PENDING: queue/transitions.py, Claimable
    Column("wait_reason", String(64)),
    Column("waiting_since_ms", BigInteger),
    _number("available_at_ms"),
    _flag("cancel_requested", 0),
    Column("phase", String(32)),
    Column("phase_message", String(500)),
    Column("result_json", LongText),
    Column("failure_code", String(64)),
    Column("failure_blame", String(16)),
    Column("reason", String(64)),
    Column("node_id", BigInteger),
    Column("env_sealed", LongText),
    Column("idempotency_key", String(200)),
    Column("request_hash", String(64)),
    Column("trace_id", String(64)),
    _number("log_bytes"),
    _number("log_next"),  # the offset this attempt's runner goes on from: its own count, from 0
    _flag("log_capped", 0),
    _number("created_ms"),
    _number("updated_ms"),
    Column("started_ms", BigInteger),
    Column("finished_ms", BigInteger),
    Column("old_id", String(64)),  # what an installation that was taken over called it
    Column("target_node_id", BigInteger),  # where the app lives once this job succeeded; its placement stays until then
    sqlite_autoincrement=True,  # an id is never given twice: generations derive from it
    **UNICODE,
)

_PENDING = text("status = 'PENDING' AND claimable = 1")
_WAITING = text("status = 'PENDING' AND claimable <> 1")
_RUNNING = text("status = 'RUNNING'")
_ACTIVE = text("status IN ('PENDING', 'RUNNING')")

partial_index("fun_ai_deploy_job_claim", _PENDING, job.c.turn, job.c.id)
partial_index("fun_ai_deploy_job_waiting", _WAITING, job.c.claimable, job.c.available_at_ms, job.c.id)
partial_index("fun_ai_deploy_job_running", _RUNNING, job.c.id)
partial_index("fun_ai_deploy_job_user", _ACTIVE, job.c.user_id, job.c.turn)
partial_index("fun_ai_deploy_job_active_app", _ACTIVE, job.c.app_id, unique=True)
Index("fun_ai_deploy_job_app", job.c.app_id, job.c.id)
Index("fun_ai_deploy_job_idempotency", job.c.idempotency_key, unique=True)
Index("fun_ai_deploy_job_old_id", job.c.old_id, unique=True)

leading_index("fun_ai_deploy_job_claim_m", job.c.status, job.c.claimable, job.c.turn, job.c.id)
leading_index("fun_ai_deploy_job_waiting_m", job.c.status, job.c.claimable, job.c.available_at_ms, job.c.id)
leading_index("fun_ai_deploy_job_user_m", job.c.status, job.c.user_id, job.c.turn)

# MySQL and MariaDB have no partial indexes: there the migration adds a generated column, ``active_app_id``, NULL for
# finished jobs, with a unique index over it. No code reads or writes it.

job_event = Table(
    "fun_ai_deploy_job_event",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("job_id", BigInteger, nullable=False),
    Column("app_id", BigInteger),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(160), nullable=False),
    Column("source", String(32)),
    Column("target", String(32)),
    Column("attempt", BigInteger),
    Column("reason", String(64)),
    Column("detail", String(1000)),
    Column("trace_id", String(64)),
    Index("fun_ai_deploy_job_event_job", "job_id", "id"),
    **UNICODE,
)

job_log = Table(
    "fun_ai_deploy_job_log",
    metadata,
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),
    Column("start_byte", BigInteger, primary_key=True, autoincrement=False),
    Column("end_byte", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("data", LongBytes, nullable=False),  # zlib
    Column("at_ms", BigInteger, nullable=False),
    **UNICODE,
)

release = Table(
    "fun_ai_deploy_release",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("app_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("job_id", BigInteger, nullable=False, unique=True),
    Column("user_id", BigInteger),
    Column("image", String(600), nullable=False),
    Column("digest", String(100)),
    Column("git_sha", String(64)),
    Column("git_ref", String(200)),
    Column("container_port", Integer, nullable=False),
    Column("health_path", String(500)),
    Column("base_path", String(500)),
    Column("env_sealed", LongText),
    Column("strip_prefix", Integer),  # 0: the app sees its base path
    _flag("retired", 0),  # no rollback to it; its image is not kept for it
    Column("retired_ms", BigInteger),
    _flag("removed", 0),  # retired, and the registry has been seen to
    _number("created_ms"),
    Index("fun_ai_deploy_release_kept", "retired", "removed", "app_id"),
    Index("fun_ai_deploy_release_digest", "digest"),
    UniqueConstraint("app_id", "number", name="fun_ai_deploy_release_number"),
    **UNICODE,
)

runtime_node = Table(
    "fun_ai_deploy_runtime_node",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("agent_base_url", String(500)),
    Column("gateway_base_url", String(500)),
    _flag("enabled", 1),
    Column("weight", Integer, nullable=False, default=100, server_default="100"),
    Column("last_heartbeat_at", DateTime),
    Column("disk_free_pct", Float),
    Column("disk_free_bytes", BigInteger),
    Column("container_count", Integer),
    *_times(),
    # ours
    Column("last_heartbeat_ms", BigInteger),
    Column("cpu_pct", Float),
    Column("memory_free_bytes", BigInteger),
    Column("memory_bytes", BigInteger),
    Column("app_memory_bytes", BigInteger),
    Column("capacity", Integer),
    Column("engine", String(64)),
    Column("apps_url", String(300)),
    Column("upstream_url", String(500)),  # where the edge reaches its gateway; absent: gateway_base_url
    Column("problem", String(500)),
    Column("agent_version", String(64)),
    _flag("drained", 0),  # hysteresis: fell under the drain mark and has not yet clearly risen above it
    _flag("unhealthy", 0),
    _number("placed_since_heartbeat"),
    Column("crash_looping_json", LongText),
    _number("created_ms"),
    _number("updated_ms"),
    sqlite_autoincrement=True,
    **UNICODE,
)

placement = Table(
    "fun_ai_deploy_runtime_placement",
    metadata,
    Column("app_id", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", BigInteger, nullable=False),
    Column("last_active_at", BigInteger),
    *_times(),
    _number("created_ms"),
    Column("user_id", BigInteger),
    Index("fun_ai_deploy_runtime_placement_node", "node_id", "app_id"),
    **UNICODE,
)

leftover = Table(
    "fun_ai_deploy_runtime_leftover",  # a node an app was moved away from, where its container may still be
    metadata,
    Column("app_id", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
    _flag("ready", 0),  # the node may remove it: it serves elsewhere, or is gone for good
    Column("told_ms", BigInteger),  # when the node was first informed
    Column("due_ms", BigInteger),  # when it becomes ready by itself: the app serves elsewhere, requests may still run here
    Column("generation", BigInteger),  # up to which it goes; NULL: whatever is there, and what a deleted app leaves
    _number("created_ms"),
    Index("fun_ai_deploy_runtime_leftover_node", "node_id", "ready"),
    **UNICODE,
)

drain = Table(
    "fun_ai_deploy_drain",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("source_node_id", BigInteger, nullable=False),
    _number("created_ms"),
    Column("finished_ms", BigInteger),
    Index("fun_ai_deploy_drain_source", "source_node_id", "state"),
    **UNICODE,
)

move = Table(
    "fun_ai_deploy_move",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("drain_id", BigInteger),  # None: of one app, by itself
    Column("app_id", BigInteger, nullable=False),
    Column("source_node_id", BigInteger, nullable=False),
    Column("wanted_node_id", BigInteger),  # None: chosen when the move begins
    Column("target_node_id", BigInteger),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("job_id", BigInteger),
    _number("tries"),
    _number("created_ms"),
    _number("updated_ms"),
    Index("fun_ai_deploy_move_state", "state", "updated_ms"),
    Index("fun_ai_deploy_move_drain", "drain_id", "id"),
    Index("fun_ai_deploy_move_app", "app_id", "state"),
    **UNICODE,
)

route_change = Table(
    "fun_ai_deploy_route_change",  # an app, node or name whose route changed: edge/changes.py
    metadata,
    Column("subject", String(8), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("revision", BigInteger),  # of its last change; absent until a reader has numbered it
    Index("fun_ai_deploy_route_change_revision", "revision"),
    **UNICODE,
)

route_revision = Table(
    "fun_ai_deploy_route_revision",  # one row
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),  # the last one given
    Column("oldest", BigInteger, nullable=False),  # later changes are all kept
    **UNICODE,
)

app_run = Table(
    "fun_ai_deploy_app_run",
    metadata,
    Column("app_id", BigInteger, primary_key=True, autoincrement=False),
    Column("node_id", BigInteger),
    Column("last_job_id", BigInteger),
    Column("last_job_status", String(32)),
    Column("last_error", LongText),
    Column("last_deployed_at", DateTime),
    Column("last_active_at", DateTime),
    *_times(),
    Column("last_deployed_ms", BigInteger),
    Column("live_release_number", Integer),
    Column("stopped_ms", BigInteger),
    **UNICODE,
)

credential = Table(
    "fun_ai_deploy_credential",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_ms", BigInteger, nullable=False),
    **UNICODE,
)

join_token = Table(
    "fun_ai_deploy_join_token",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("name", String(128)),  # of the one node that it is good for; NULL: of any new one
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("used_by", String(128)),
    **UNICODE,
)

alert = Table(
    "fun_ai_deploy_alert",
    metadata,
    Column("alert_key", String(200), primary_key=True),  # of the thing that is wrong, as long as it is
    Column("reason", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("sent_ms", BigInteger),
    **UNICODE,
)

gateway = Table(
    "fun_ai_deploy_gateway",  # what each gateway and edge reported last: alerts/gateways.py
    metadata,
    Column("name", String(160), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
    _number("requests"),
    _number("failed"),
    Column("certificates_json", Text),
    **UNICODE,
)

domain = Table(
    "fun_ai_deploy_domain",
    metadata,
    Column("name", String(200), primary_key=True),  # one app's; of an alias, which has no dot, the label alone
    Column("app_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    _flag("alias", 0),
    Column("state", String(16), nullable=False),
    Column("url", String(300)),
    Column("reason", String(64)),
    Column("details_json", Text),
    Column("not_after_ms", BigInteger),
    Column("next_try_ms", BigInteger),
    _number("asked"),  # grows with each look that its owner asks for
    Column("active_ms", BigInteger),  # when it was served first
    _number("created_ms"),
    _number("updated_ms"),
    Index("fun_ai_deploy_domain_app", "app_id"),
    **UNICODE,
)

runner = Table(
    "fun_ai_deploy_runner",
    metadata,
    Column("runner_id", String(128), primary_key=True),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("labels_json", Text),
    _number("created_ms"),
    **UNICODE,
)
