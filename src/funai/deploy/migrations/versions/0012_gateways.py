"""What gateways and edges report: requests that failed, and when their certificates end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLE = "fun_ai_deploy_gateway"


def upgrade() -> None:
    if TABLE in sa.inspect(op.get_bind()).get_table_names():
        return  # an upgrade that was cut off on MySQL is run again
    op.create_table(
        TABLE,
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("failed", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("certificates_json", sa.Text(), nullable=True),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


def downgrade() -> None:
    """Every gateway reports it again within a minute."""
    op.drop_table(TABLE)
