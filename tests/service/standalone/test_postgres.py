"""This machine's own PostgreSQL for apps: made once, found again, reached by those who may, and gone when it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from funai.agent.databases.contract import AppKey
from funai.agent.databases.postgresql.driver import PostgresDriver
from funai.agent.databases.settings import DatabaseSettings
from funai.standalone.layout import Layout, Secrets
from funai.standalone.parts import loaddress, postgres
from tests.service.agent.databases.tenant import PostgresTenant

KEY = AppKey(1, 7, "db_u1_a7")
pytestmark = pytest.mark.skipif(
    postgres.programs() is None or os.geteuid() != 0, reason="needs root and the package postgresql"
)


def on_this_machine(address: str) -> bool:
    said = json.loads(subprocess.run(["ip", "-j", "address", "show", "dev", "lo"], capture_output=True, check=True).stdout)
    return any(entry.get("local") == address for entry in said[0]["addr_info"])


@pytest.fixture
async def instance() -> AsyncIterator[str]:
    name = f"test{os.getpid()}"
    yield name
    shutil.rmtree(postgres.ROOT / name, ignore_errors=True)


async def test_embedded_server_keeps_data_and_address_over_restarts_and_lets_in_apps_networks_alone(
    instance: str, tmp_path: Path
) -> None:
    layout, secrets = Layout(tmp_path), Secrets()
    at = loaddress.of(instance, loaddress.POSTGRES)
    async with AsyncExitStack() as life:
        url = await postgres.start(layout, secrets, instance, None, life)
        assert urlsplit(url).hostname == at
        assert not (postgres.ROOT / instance / "password").exists()
        driver = PostgresDriver(DatabaseSettings(postgres_url=url))
        await driver.create(KEY)
        app = PostgresTenant((await driver.credentials(KEY)).url)
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="pg_hba"):
            await app.read()  # from this machine itself, which is in no app's network
    async with AsyncExitStack() as life:
        await postgres.start(layout, secrets, instance, f"{at}/32", life)
        await app.write("kept")
        held = await asyncpg.connect(app.url)  # as an app that goes on while the platform stops
    assert not on_this_machine(at)
    held.terminate()
    async with AsyncExitStack() as life:
        assert await postgres.start(layout, secrets, instance, f"{at}/32", life) == url
        assert await app.read() == ["kept"]
    assert secrets.postgres.get_secret_value() not in "".join(
        file.read_text(errors="replace") for folder in (layout.log, layout.run) for file in folder.iterdir()
    )
