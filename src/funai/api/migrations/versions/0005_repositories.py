"""Whether an app's repository is made, and which account at the Gitea is whose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from funai.base.db import undo

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

exact = sa.String(64).with_variant(mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    # MySQL keeps each step of a migration: one that was killed in the middle goes on here.
    inspector = sa.inspect(op.get_bind())
    apps = {column["name"] for column in inspector.get_columns("funai_app")}
    users = {column["name"] for column in inspector.get_columns("funai_user")}
    indexes = {index["name"] for table in ("funai_app", "funai_user") for index in inspector.get_indexes(table)}
    if "repo_ready" not in apps:
        op.add_column("funai_app", sa.Column("repo_ready", sa.SmallInteger(), nullable=False, server_default="0"))
    if "repo_next" not in apps:
        op.add_column("funai_app", sa.Column("repo_next", sa.BigInteger(), nullable=True))
    if "git_account" not in users:
        op.add_column("funai_user", sa.Column("git_account", exact, nullable=True))
    if "ix_funai_app_repo" not in indexes:
        op.create_index("ix_funai_app_repo", "funai_app", ["repo_ready", "repo_next"])
    if "uq_funai_user_git_account" not in indexes:
        op.create_index("uq_funai_user_git_account", "funai_user", ["git_account"], unique=True)


def downgrade() -> None:
    """Whether a repository is made is looked for again; whose account is whose is kept nowhere else."""
    undo.drop_columns("funai_user", "git_account", indexes=["uq_funai_user_git_account"])
    op.drop_index("ix_funai_app_repo", "funai_app")
    op.drop_column("funai_app", "repo_next")
    op.drop_column("funai_app", "repo_ready")
