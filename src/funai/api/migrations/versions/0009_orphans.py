"""Since when repositories and images look orphaned, and when the sweep that looks for them ran last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()  # of an upgrade that was cut off on MySQL
    if "funai_orphan" not in there:
        op.create_table(
            "funai_orphan",
            sa.Column("place", _exact(16), primary_key=True),
            sa.Column("name", _exact(190), primary_key=True),
            sa.Column("since", sa.BigInteger(), nullable=False),
        )
    if "funai_sweep" not in there:
        op.create_table(
            "funai_sweep",
            sa.Column("name", _exact(32), primary_key=True),
            sa.Column("ran", sa.BigInteger(), nullable=False),
        )


def downgrade() -> None:
    """The next sweeps find it again."""
    op.drop_table("funai_orphan")
    op.drop_table("funai_sweep")
