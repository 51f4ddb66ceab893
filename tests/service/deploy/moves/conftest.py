"""Deploys for tests of moves: on each of the three databases, or on SQLite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.deploy import main
from tests.service.deploy.moves.fleet import Fleet
from tests.service.deploy.queue.kit import Deploy, settings


async def _fleet(url: str, key: Path) -> AsyncIterator[Fleet]:
    Sealer.from_file(key, create=True)
    deploy = Deploy(main.build(settings(url, env_key_file=key, moves_at_once=2)))
    yield Fleet(deploy)
    await deploy.core.heartbeats.close()
    await deploy.close()
    await deploy.core.db.close()


@pytest.fixture
async def fleet(deploy_db: Database, tmp_path: Path) -> AsyncIterator[Fleet]:
    url = deploy_db.url.render_as_string(hide_password=False)
    async for made in _fleet(url, tmp_path / "key"):
        yield made


@pytest.fixture
async def lite_fleet(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    db = Database(sqlite_url)
    await main.upgrade(db)
    await db.close()
    async for made in _fleet(sqlite_url, tmp_path / "key"):
        yield made
