"""Which text ids of an older Deploy service's jobs stand behind numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = "funai_old_job"


def upgrade() -> None:
    if TABLE in sa.inspect(op.get_bind()).get_table_names():
        return  # an upgrade that was cut off on MySQL is run again
    op.create_table(
        TABLE,
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("old_id", sa.String(64), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    undo.drop_table(TABLE)
