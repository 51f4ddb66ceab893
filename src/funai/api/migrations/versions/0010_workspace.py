"""Apps keep what the development side knew of them last (``workspace*``), which installations of before have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "funai_app"


def upgrade() -> None:
    if "workspace_json" not in {c["name"] for c in sa.inspect(op.get_bind()).get_columns(TABLE)}:
        op.add_column(TABLE, sa.Column("workspace_json", sa.Text(), nullable=True))


def downgrade() -> None:
    undo.drop_columns(TABLE, "workspace_json")
