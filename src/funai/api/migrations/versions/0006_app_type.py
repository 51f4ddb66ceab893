"""Apps keep their type and key, which installations of before have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "funai_app"


def upgrade() -> None:
    there = {c["name"] for c in sa.inspect(op.get_bind()).get_columns(TABLE)}
    for name, length in (("app_type", 64), ("app_key", 128)):
        if name not in there:  # an upgrade that was cut off on MySQL is run again
            op.add_column(TABLE, sa.Column(name, sa.String(length), nullable=True))


def downgrade() -> None:
    undo.drop_columns(TABLE, "app_type", "app_key")
