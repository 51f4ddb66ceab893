"""The session's real parts as fixtures; loaded as a plugin by ``tests/conftest.py``.

Each starts at first use, once a session (once per xdist worker), and is taken down at its end. When a test of the
session failed, the parts' logs are kept under ``.state/test-logs/``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.parts.databases import MariaDB, Postgres
from tests.parts.workspace import drop_workspace, new_workspace

LOGS = Path(__file__).parents[2] / ".state" / "test-logs"
_serial = itertools.count(1)


@pytest.fixture(scope="session")
def workspace(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Path]]:
    """``workspace("name")`` makes a folder for a part of the session; all go at its end."""
    made: list[Path] = []

    def make(name: str) -> Path:
        made.append(new_workspace(name))
        return made[-1]

    yield make
    for path in made:
        drop_workspace(path, keep_logs_in=LOGS if request.session.testsfailed else None)


@pytest.fixture(scope="session")
def postgres(workspace: Callable[[str], Path]) -> Iterator[Postgres]:
    """A PostgreSQL server. A test that stops it must start it again."""
    part = Postgres(workspace("postgres"))
    part.create()
    yield part
    part.kill()


@pytest.fixture(scope="session")
def mariadb(workspace: Callable[[str], Path]) -> Iterator[MariaDB]:
    """A MariaDB server. A test that stops it must start it again."""
    part = MariaDB(workspace("mariadb"))
    part.create()
    yield part
    part.kill()


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A fresh PostgreSQL database for one test, as an SQLAlchemy URL (asyncpg)."""
    name = f"t{next(_serial)}"
    yield postgres.create_database(name)
    if postgres.running:
        postgres.drop_database(name)


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """A fresh MariaDB database for one test, as an SQLAlchemy URL (asyncmy)."""
    name = f"t{next(_serial)}"
    yield mariadb.create_database(name)
    if mariadb.running:
        mariadb.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file for one test, as an SQLAlchemy URL (aiosqlite)."""
    return f"sqlite+aiosqlite:///{tmp_path}/deploy.db"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Runs the test three times: on SQLite, PostgreSQL and MariaDB."""
    names = {"sqlite": "sqlite_url", "postgresql": "postgres_url", "mariadb": "mariadb_url"}
    return request.getfixturevalue(names[request.param])
