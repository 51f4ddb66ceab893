"""The address that people are given, beside the one below ``/runtime``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = {c["name"] for c in sa.inspect(op.get_bind()).get_columns("funai_app")}
    if "access_url" not in there:  # an upgrade that was cut off on MySQL is run again
        op.add_column("funai_app", sa.Column("access_url", sa.String(500), nullable=True))


def downgrade() -> None:
    """Deploy tells it again."""
    op.drop_column("funai_app", "access_url")
