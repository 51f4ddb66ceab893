"""The API's migrations, taken back."""

from __future__ import annotations

from functools import partial

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from funai.api import main
from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.contracts.errors import ConfigError


def _back_to(revision: str, conn: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(main.MIGRATIONS))
    config.attributes["connection"] = conn
    command.downgrade(config, revision)


def _schema(conn: Connection) -> dict[str, set[str]]:
    looked = inspect(conn)
    tables = [name for name in looked.get_table_names() if name.startswith("funai_") and not name.endswith("_version")]
    indexes = {name: {str(i["name"]) for i in looked.get_indexes(name)} for name in tables}
    return {name: {c["name"] for c in looked.get_columns(name)} | indexes[name] for name in tables}


async def test_migrations_are_taken_back_one_by_one_but_not_what_people_gave(database_url: str) -> None:
    db = Database(database_url)
    try:
        await main.upgrade(db)
        async with db.read() as conn:
            whole = await conn.run_sync(_schema)
        await migrate.alone(db, partial(_back_to, "0001"))
        async with db.read() as conn:
            assert "funai_audit" not in await conn.run_sync(_schema)
        with pytest.raises(ConfigError, match=r"backup\.md"):
            await migrate.alone(db, partial(_back_to, "base"))
        await main.upgrade(db)
        async with db.write() as conn:
            assert await conn.run_sync(_schema) == whole
            await conn.execute(text("INSERT INTO funai_old_job (number, old_id, create_time) VALUES (1, 'a', 1)"))
        with pytest.raises(ConfigError, match="funai_old_job"):
            await migrate.alone(db, partial(_back_to, "0001"))
    finally:
        await db.close()
