"""Names of apps' own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from funai.base.db import undo

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = "fun_ai_deploy_domain"


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    if TABLE not in inspector.get_table_names():  # an upgrade that was cut off on MySQL is run again
        op.create_table(
            TABLE,
            sa.Column("name", sa.String(200), primary_key=True),
            sa.Column("app_id", sa.BigInteger(), nullable=False),
            sa.Column("user_id", sa.BigInteger(), nullable=False),
            sa.Column("alias", sa.SmallInteger(), nullable=False, server_default="0"),
            sa.Column("state", sa.String(16), nullable=False),
            sa.Column("url", sa.String(300), nullable=True),
            sa.Column("reason", sa.String(64), nullable=True),
            sa.Column("details_json", sa.Text(), nullable=True),
            sa.Column("not_after_ms", sa.BigInteger(), nullable=True),
            sa.Column("next_try_ms", sa.BigInteger(), nullable=True),
            _number("asked"),
            sa.Column("active_ms", sa.BigInteger(), nullable=True),
            _number("created_ms"),
            _number("updated_ms"),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )
        inspector = sa.inspect(op.get_bind())
    if not inspector.get_indexes(TABLE):
        op.create_index("fun_ai_deploy_domain_app", TABLE, ["app_id"])


def downgrade() -> None:
    undo.drop_table(TABLE)
