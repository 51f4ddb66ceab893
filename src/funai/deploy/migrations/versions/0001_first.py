"""The queue, its audit trail and logs, releases, nodes and runners; in an existing installation, beside what it has."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Connection, inspect, literal_column, text

from funai.base.db import undo
from funai.base.db.engine import now_ms_sql
from funai.deploy.migrations import adopt, takeover
from funai.deploy.migrations import schema_0001 as schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    conn = op.get_bind()
    takeover.take_over(conn)
    there = set(inspect(conn).get_table_names())
    existing = [t for t in schema.metadata.sorted_tables if t.name in there]
    schema.metadata.create_all(conn)
    for table in existing:
        adopt.adopt(conn, table)
    if existing:
        _carry(conn, there)
    for table in existing:
        adopt.ensure_indexes(conn, table)
    if adopt.is_mysql(conn) and "active_app_id" not in {c["name"] for c in inspect(conn).get_columns(schema.job.name)}:
        op.execute(text(schema.MYSQL_ACTIVE_APP))


def _carry(conn: Connection, there: set[str]) -> None:
    """The rows an existing installation has, as ours."""
    if schema.job.name in there:
        now = literal_column(now_ms_sql(conn.dialect.name), BigInteger)
        adopt.carry_jobs(conn, schema.job, now)
        adopt.keep_one_active(conn, schema.job, schema.job_event, now)
    if schema.runtime_node.name in there:
        times = {"last_heartbeat_ms": "last_heartbeat_at", "created_ms": "create_time", "updated_ms": "update_time"}
        adopt.carry_times(conn, schema.runtime_node.name, times)
    if schema.placement.name in there:
        adopt.carry_times(conn, schema.placement.name, {"created_ms": "create_time"})
        adopt.ensure_one_per_app(conn, schema.placement)
    if schema.app_run.name in there:
        adopt.carry_times(conn, schema.app_run.name, {"last_deployed_ms": "last_deployed_at"})
        adopt.ensure_one_per_app(conn, schema.app_run)


def downgrade() -> None:
    undo.refuse("every table of Deploy")
