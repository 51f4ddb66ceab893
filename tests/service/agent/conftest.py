"""Engines of tests: what listens in their place is closed with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from funai.agent.engine.dummy import DummyEngine


@pytest.fixture(autouse=True)
async def engines_end_with_their_test(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Several agents may share an engine, one after the other, so none of them closes it."""
    made: list[DummyEngine] = []
    begin = DummyEngine.__init__

    def noted(self: DummyEngine, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        made.append(self)

    monkeypatch.setattr(DummyEngine, "__init__", noted)
    yield
    for engine in made:
        await engine.close()
