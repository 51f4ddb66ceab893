"""Calls about one app's databases take turns, and none waits for another without an end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from funai.agent.databases import service
from funai.agent.databases.backups import Backups
from funai.agent.databases.contract import AppKey, Driver
from funai.agent.databases.ledger import Ledger
from funai.agent.databases.service import Databases
from funai.contracts.apps.databases import DatabaseCall, Kind
from funai.contracts.errors import Conflict


class Held:
    """A driver whose ``drop`` lasts until ``go``."""

    kind = Kind.POSTGRES

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    def name(self, user_id: int, app_id: int) -> str:
        return f"db_u{user_id}_a{app_id}"

    async def drop(self, app: AppKey) -> bool:
        self.begun.set()
        await self.go.wait()
        return True


async def test_a_call_behind_one_that_lasts_is_told_so_and_the_next_has_its_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service, "BUSY_SECONDS", 0.01)
    driver: Any = Held()
    databases = Databases([cast("Driver", driver)], Backups(tmp_path, 1), Ledger(None))
    call = DatabaseCall(user_id="1", app_id="7")
    first = asyncio.create_task(databases.drop(call))
    await driver.begun.wait()
    with pytest.raises(Conflict) as refused:
        await databases.drop(call)
    assert refused.value.reason == "DATABASE_BUSY"
    driver.go.set()
    assert (await first).dropped == (await databases.drop(call)).dropped == ["db_u1_a7"]
