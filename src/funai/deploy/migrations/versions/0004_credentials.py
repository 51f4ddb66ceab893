"""Runners' and nodes' own credentials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "fun_ai_deploy_credential"


def upgrade() -> None:
    if TABLE in sa.inspect(op.get_bind()).get_table_names():
        return  # an upgrade that was cut off on MySQL is run again
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    undo.drop_table(TABLE)
