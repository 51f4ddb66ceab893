"""Jobs of an installation that was taken over keep the text ids that they had."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE, INDEX = "fun_ai_deploy_job", "fun_ai_deploy_job_old_id"


def upgrade() -> None:
    looked = sa.inspect(op.get_bind())
    if "old_id" not in {c["name"] for c in looked.get_columns(TABLE)}:  # an upgrade that was cut off on MySQL is run again
        op.add_column(TABLE, sa.Column("old_id", sa.String(64), nullable=True))
    if INDEX not in {i["name"] for i in looked.get_indexes(TABLE)}:
        op.create_index(INDEX, TABLE, ["old_id"], unique=True)


def downgrade() -> None:
    undo.drop_columns(TABLE, "old_id", indexes=[INDEX])
