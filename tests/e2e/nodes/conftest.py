"""One platform of several nodes for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from funai.standalone.parts.engine import EngineChoice
from tests.e2e.nodes.world import Nodes, nodes
from tests.parts.databases import Postgres
from tests.parts.extent import FULL, extent


def _database(request: pytest.FixtureRequest) -> str:
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_database("nodes").replace("+asyncpg", "")


@pytest.fixture(scope="package")
def platform(request: pytest.FixtureRequest, workspace: Callable[[str], Path], machine_engine: EngineChoice) -> Iterator[Nodes]:
    """Two nodes; in a full run three, the last of which has a small disk, and Deploy on PostgreSQL. A test that ends a part
    starts it again."""
    disk, evacuate = extent(("", 0), ("512m", 20))
    database = _database(request) if FULL else ""
    with nodes(workspace("nodes"), machine_engine, extent(2, 3), disk=disk, evacuate=evacuate, database=database) as made:
        yield made
