"""Moves of running apps between nodes, and the memory of nodes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = {
    "fun_ai_deploy_job": ("target_node_id",),
    "fun_ai_deploy_runtime_leftover": ("due_ms", "generation"),
    "fun_ai_deploy_runtime_node": ("memory_bytes", "app_memory_bytes"),
}
DRAIN, MOVE = "fun_ai_deploy_drain", "fun_ai_deploy_move"
INDEXES = {
    DRAIN: {"fun_ai_deploy_drain_source": ["source_node_id", "state"]},
    MOVE: {
        "fun_ai_deploy_move_state": ["state", "updated_ms"],
        "fun_ai_deploy_move_drain": ["drain_id", "id"],
        "fun_ai_deploy_move_app": ["app_id", "state"],
    },
}
_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def _big(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _id() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, primary_key=True, autoincrement=True)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    """Each step looks first: an upgrade that was cut off on MySQL is run again."""
    inspector = sa.inspect(op.get_bind())
    for table, names in COLUMNS.items():
        there = {c["name"] for c in inspector.get_columns(table)}
        for name in names:
            if name not in there:
                op.add_column(table, _big(name))
    tables = inspector.get_table_names()
    if DRAIN not in tables:
        words = (sa.Column("kind", sa.String(16), nullable=False), sa.Column("state", sa.String(16), nullable=False))
        times = (_number("created_ms"), _big("finished_ms"))
        op.create_table(DRAIN, _id(), *words, _big("source_node_id", nullable=False), *times, **_MYSQL)
    if MOVE not in tables:
        app = (_big("drain_id"), _big("app_id", nullable=False), _big("source_node_id", nullable=False))
        nodes = (_big("wanted_node_id"), _big("target_node_id"))
        words = (sa.Column("state", sa.String(16), nullable=False), sa.Column("reason", sa.String(64)))
        numbers = (_number("tries"), _number("created_ms"), _number("updated_ms"))
        op.create_table(MOVE, _id(), *app, *nodes, *words, _big("job_id"), *numbers, **_MYSQL)
    inspector = sa.inspect(op.get_bind())
    for table, indexes in INDEXES.items():
        there = {i["name"] for i in inspector.get_indexes(table)}
        for name, columns in indexes.items():
            if name not in there:
                op.create_index(name, table, columns)


def downgrade() -> None:
    """Moves under way end with their jobs; where they were going is not kept."""
    op.drop_table(MOVE)
    op.drop_table(DRAIN)
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
