"""Alembic's entry: runs on the connection that ``base.migrate`` hands over, with a version table of Deploy's own."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="funai_deploy_version", transactional_ddl=False)
context.run_migrations()
