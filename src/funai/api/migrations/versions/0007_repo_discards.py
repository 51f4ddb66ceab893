"""Repositories of deleted apps that a Git server apart from the API has still to remove."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from funai.base.db import undo

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

exact = sa.String(190).with_variant(mysql.VARCHAR(190, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    if "funai_repo_discard" not in sa.inspect(op.get_bind()).get_table_names():  # an upgrade that was cut off on MySQL
        op.create_table(
            "funai_repo_discard",
            sa.Column("repo", exact, primary_key=True),
            sa.Column("create_time", sa.BigInteger(), nullable=False),
        )


def downgrade() -> None:
    undo.drop_table("funai_repo_discard")
