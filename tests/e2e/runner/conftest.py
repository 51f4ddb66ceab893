"""The Runner's worlds: one with default settings, and a maker of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.e2e.runner.world import MakeWorld, World, world_of
from tests.parts.podman import Podman
from tests.parts.registry import Registry
from tests.parts.sshd import Sshd


@pytest.fixture
async def make_world(
    podman: Podman, registry: Registry, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """``await make_world(setting=value)`` starts a Runner with these settings."""
    for name, value in podman.choice.environment.items():
        monkeypatch.setenv(name, value)
    podman.allow_insecure([registry.address])
    async with AsyncExitStack() as worlds:

        async def make(**settings: object) -> World:
            return await worlds.enter_async_context(world_of(podman, registry, sshd, tmp_path, settings))

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()
