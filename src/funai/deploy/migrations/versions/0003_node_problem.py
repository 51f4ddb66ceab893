"""Nodes tell what hinders their apps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = "fun_ai_deploy_runtime_node"


def upgrade() -> None:
    there = {c["name"] for c in sa.inspect(op.get_bind()).get_columns(TABLE)}
    if "problem" not in there:  # an upgrade that was cut off on MySQL is run again
        op.add_column(TABLE, sa.Column("problem", sa.String(500), nullable=True))


def downgrade() -> None:
    """The nodes tell it again with their next heartbeat."""
    op.drop_column(TABLE, "problem")
