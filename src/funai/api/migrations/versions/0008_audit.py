"""The audit trail: who did what, when and from where."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from funai.base.db import undo

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE = "funai_audit"
big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def exact(length: int) -> sa.types.TypeEngine[str]:
    unicode = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(unicode, "mysql", "mariadb")


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    made = TABLE in inspector.get_table_names()  # MySQL keeps each step of an upgrade that was cut off
    indexes = [index["name"] for index in inspector.get_indexes(TABLE)] if made else []
    if not made:
        _create()
    for column in ("create_time", "action", "actor_name", "admin", "app_id"):
        if f"ix_{TABLE}_{column}" not in indexes:
            op.create_index(f"ix_{TABLE}_{column}", TABLE, [column, "id"])


def _create() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", big, primary_key=True, autoincrement=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("actor_id", big, nullable=True),
        sa.Column("actor_name", exact(64), nullable=False),
        sa.Column("admin", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("user_id", big, nullable=True),
        sa.Column("app_id", big, nullable=True),
        sa.Column("target", exact(200), nullable=False),
        sa.Column("detail", exact(1000), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("trace_id", sa.String(64), nullable=True),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    undo.drop_table(TABLE)
