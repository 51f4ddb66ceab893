"""Which of an app's variables their owner marked as secret."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # MySQL keeps each step of a migration: one that was killed in the middle goes on here.
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("funai_app_env")}
    if "secret_names" not in columns:
        op.add_column("funai_app_env", sa.Column("secret_names", sa.Text(), nullable=True))


def downgrade() -> None:
    undo.drop_columns("funai_app_env", "secret_names")
