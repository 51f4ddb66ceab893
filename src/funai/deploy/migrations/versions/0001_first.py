"""The queue, its audit trail and logs, releases, nodes and runners; or our columns beside an existing installation's."""

from __future__ import annotations

from alembic import op

from funai.deploy.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
