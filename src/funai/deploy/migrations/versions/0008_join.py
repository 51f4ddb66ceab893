"""Machines join as nodes by a token; agents tell their version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NODES, TOKENS = "fun_ai_deploy_runtime_node", "fun_ai_deploy_join_token"


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    if "agent_version" not in {c["name"] for c in inspector.get_columns(NODES)}:
        op.add_column(NODES, sa.Column("agent_version", sa.String(64), nullable=True))
    if TOKENS in inspector.get_table_names():
        return  # an upgrade that was cut off on MySQL is run again
    op.create_table(
        TOKENS,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(128), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.String(128), nullable=True),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    op.drop_table(TOKENS)
    op.drop_column(NODES, "agent_version")
