"""Accounts, keys, apps, variables and idempotency records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from funai.base.db import undo

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Long = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def flag(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger(), nullable=False, server_default="0")


def moment(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    _accounts()
    _apps()
    op.create_table(
        "funai_idempotency",
        sa.Column("user_id", Id, primary_key=True, autoincrement=False),
        sa.Column("key_hash", exact(64), primary_key=True),
        sa.Column("request_hash", exact(64), nullable=False),
        sa.Column("op_key", exact(64), nullable=False),
        sa.Column("answer", Long, nullable=True),
        moment("create_time"),
    )
    op.create_index("ix_funai_idempotency_op_key", "funai_idempotency", ["op_key"])
    op.create_index("ix_funai_idempotency_time", "funai_idempotency", ["create_time"])


def _accounts() -> None:
    op.create_table(
        "funai_user",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("user_name", exact(64), nullable=False),
        sa.Column("name_key", exact(64), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        flag("admin"),
        flag("disabled"),
        sa.Column("token_version", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("api_key_hash", exact(64), nullable=True, unique=True),
        moment("create_time"),
        moment("update_time"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "funai_ssh_key",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("user_id", Id, sa.ForeignKey("funai_user.id"), nullable=False),
        sa.Column("title", exact(100), nullable=False),
        sa.Column("fingerprint", exact(64), nullable=False, unique=True),
        sa.Column("public_key", sa.Text(), nullable=False),
        moment("create_time"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_funai_ssh_key_user_id", "funai_ssh_key", ["user_id"])


def _apps() -> None:
    op.create_table(
        "funai_app",
        sa.Column("id", Id, primary_key=True, autoincrement=True),
        sa.Column("user_id", Id, sa.ForeignKey("funai_user.id"), nullable=False),
        sa.Column("app_name", exact(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        flag("slot"),
        flag("serving"),
        sa.Column("job_id", Id, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("deploy_url", sa.String(500), nullable=True),
        sa.Column("container_port", sa.Integer(), nullable=True),
        sa.Column("op", sa.String(16), nullable=True),
        sa.Column("op_key", exact(64), nullable=True),
        sa.Column("op_job_id", Id, nullable=True),
        moment("op_since", nullable=True),
        sa.Column("prev_status", sa.SmallInteger(), nullable=True),
        sa.Column("prev_slot", sa.SmallInteger(), nullable=True),
        flag("deleting"),
        sa.Column("delete_tries", sa.Integer(), nullable=False, server_default="0"),
        moment("delete_next", nullable=True),
        sa.Column("delete_error", sa.Text(), nullable=True),
        moment("create_time"),
        moment("update_time"),
        sa.UniqueConstraint("user_id", "app_name", name="uq_funai_app_name"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_funai_app_status", "funai_app", ["status", "id"])
    op.create_index("ix_funai_app_deleting", "funai_app", ["deleting", "delete_next"])
    op.create_table(
        "funai_app_env",
        sa.Column("app_id", Id, sa.ForeignKey("funai_app.id"), primary_key=True, autoincrement=False),
        sa.Column("sealed", Long, nullable=False),
        moment("update_time"),
    )


def downgrade() -> None:
    undo.refuse("every table of the API")
