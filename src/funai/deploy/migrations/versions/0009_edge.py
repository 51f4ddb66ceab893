"""Changes of routes for the edge, and where it reaches a node."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

CHANGES, REVISION, NODES = "fun_ai_deploy_route_change", "fun_ai_deploy_route_revision", "fun_ai_deploy_runtime_node"
INDEX = "fun_ai_deploy_route_change_revision"
MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """What is there is left: an upgrade that was cut off on MySQL is run again."""
    inspector = sa.inspect(op.get_bind())
    there = inspector.get_table_names()
    if "upstream_url" not in {c["name"] for c in inspector.get_columns(NODES)}:
        op.add_column(NODES, sa.Column("upstream_url", sa.String(500), nullable=True))
    if REVISION not in there:
        op.create_table(
            REVISION,
            sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
            sa.Column("revision", sa.BigInteger(), nullable=False),
            sa.Column("oldest", sa.BigInteger(), nullable=False),
            **MYSQL,
        )
    if CHANGES not in there:
        op.create_table(
            CHANGES,
            sa.Column("subject", sa.String(8), primary_key=True),
            sa.Column("name", sa.String(200), primary_key=True),
            sa.Column("revision", sa.BigInteger(), nullable=True),
            **MYSQL,
        )
    if INDEX not in {i["name"] for i in sa.inspect(op.get_bind()).get_indexes(CHANGES)}:
        op.create_index(INDEX, CHANGES, ["revision"])


def downgrade() -> None:
    """Edges go on by their last routes. After an upgrade nodes tell where they are reached with their next heartbeats."""
    op.drop_table(CHANGES)
    op.drop_table(REVISION)
    op.drop_column(NODES, "upstream_url")
