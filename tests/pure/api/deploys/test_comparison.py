"""Comparing releases' variables when they can't be read."""

from __future__ import annotations

import httpx
import pytest
from cryptography.fernet import Fernet

from funai.api.apps.variables import Variables
from funai.api.deploys.comparison import changed_variables
from funai.base.clients.deploy import DeployClient
from funai.base.clock import SystemClock
from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.contracts.errors import NotFound


def _variables(sealer: Sealer | None) -> Variables:
    return Variables(Database("sqlite:///unused.db"), SystemClock(), sealer, max_count=9, max_bytes=99)


def _deploy(status: int, body: dict[str, object]) -> DeployClient:
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    return DeployClient("http://deploy.test", "secret", http=answer)


def _released(sealed: str | None) -> DeployClient:
    return _deploy(200, {"code": 200, "message": "ok", "data": {"envSealed": sealed}})


async def test_changed_variables_of_a_deploy_without_the_call_are_unknown() -> None:
    deploy = _deploy(404, {"code": 404, "message": "no such path", "data": None, "reason": "NOT_FOUND"})
    assert await changed_variables(deploy, _variables(Sealer(Fernet.generate_key())), 1, 1, 2) is None


async def test_changed_variables_sealed_with_another_key_are_unknown() -> None:
    deploy = _released(Sealer(Fernet.generate_key()).seal({"A": "1"}))
    assert await changed_variables(deploy, _variables(Sealer(Fernet.generate_key())), 1, 1, 2) is None
    assert await changed_variables(deploy, _variables(None), 1, 1, 2) is None


async def test_changed_variables_of_releases_without_any_are_none() -> None:
    assert await changed_variables(_released(None), _variables(None), 1, 1, 2) == []


async def test_changed_variables_of_an_unknown_release_are_refused() -> None:
    deploy = _deploy(404, {"code": 404, "message": "no", "data": None, "reason": "RELEASE_NOT_FOUND"})
    with pytest.raises(NotFound):
        await changed_variables(deploy, _variables(None), 1, 1, 2)
