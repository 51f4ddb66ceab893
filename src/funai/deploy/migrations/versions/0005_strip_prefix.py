"""Releases remember whether their app sees its base path."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = "fun_ai_deploy_release"


def upgrade() -> None:
    there = {c["name"] for c in sa.inspect(op.get_bind()).get_columns(TABLE)}
    if "strip_prefix" not in there:  # an upgrade that was cut off on MySQL is run again
        op.add_column(TABLE, sa.Column("strip_prefix", sa.Integer(), nullable=True))


def downgrade() -> None:
    undo.drop_columns(TABLE, "strip_prefix")
