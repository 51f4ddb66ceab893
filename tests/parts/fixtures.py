"""The session's real parts as fixtures; loaded as a plugin by ``tests/conftest.py``.

Each starts at first use, once a session (once per xdist worker), and is taken down at its end. When a test of the
session failed, the parts' logs are kept under ``.state/test-logs/``.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from funai.standalone.parts import base_image, engine
from funai.standalone.parts.engine import EngineChoice
from scripts.ferretdb import binary
from tests.parts.databases import MariaDB, Postgres
from tests.parts.docker import DockerEngine
from tests.parts.ferretdb import Mongo
from tests.parts.podman import Podman
from tests.parts.programs import mongod
from tests.parts.registry import Registry
from tests.parts.slots import take_slot
from tests.parts.sshd import Sshd
from tests.parts.workspace import drop_orphans, drop_workspace, new_workspace

LOGS = Path(__file__).parents[2] / ".state" / "test-logs"
_serial = itertools.count(1)


@pytest.fixture(scope="session")
def workspace(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Path]]:
    """``workspace("name")`` makes a folder for a part of the session; all go at its end."""
    made: list[Path] = []
    drop_orphans()

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


@pytest.fixture(scope="session")
def mongo(workspace: Callable[[str], Path]) -> Iterator[Mongo]:
    """A server that speaks MongoDB's protocol, with accounts. A test that stops it must start it again."""
    if mongod() is None and binary() is None:
        pytest.skip("no mongod on PATH, and FerretDB isn't built here: `make setup-test` does it where Go is")
    part = Mongo(workspace("mongo"))
    part.start()
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


@pytest.fixture(scope="session")
def machine_engine() -> EngineChoice:
    """The machine's working Podman with the base image in its storage; only read from by tests."""
    choice = asyncio.run(_ready_engine())
    assert choice.kind == "podman", f"the end-to-end tests need a working Podman, found {choice.kind}"
    return choice


async def _ready_engine() -> EngineChoice:
    choice = await engine.choose()
    await base_image.ensure(choice)
    return choice


@pytest.fixture(scope="session")
def podman(workspace: Callable[[str], Path], machine_engine: EngineChoice) -> Iterator[Podman]:
    """A Podman with storage of its own and the base image in it. Its API is not started: see ``engine_socket``."""
    with take_slot("podman") as slot:
        part = Podman(slot, workspace("podman"), machine_engine)
        part.prepare()
        yield part
        part.destroy()


@pytest.fixture(scope="session")
def engine_socket(podman: Podman) -> Iterator[Path]:
    """The unix socket of ``podman``'s Docker-compatible API; ``podman.service`` is the process behind it."""
    podman.service.start()
    yield podman.socket
    podman.service.stop()


@pytest.fixture(scope="session")
def docker_engine(workspace: Callable[[str], Path], machine_engine: EngineChoice) -> Iterator[DockerEngine]:
    """A Docker daemon of the session's own with the base image. Tests that stop it must start it again."""
    with take_slot("docker", slots=1) as slot:
        part = DockerEngine(slot, workspace("docker"), machine_engine)
        try:
            part.create()
            yield part
        finally:
            part.destroy()


@pytest.fixture(scope="session")
def registry(workspace: Callable[[str], Path]) -> Iterator[Registry]:
    """A registry without a login; its address is plain HTTP, see ``Podman.allow_insecure``."""
    part = Registry(workspace("registry"))
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def private_registry(workspace: Callable[[str], Path]) -> Iterator[Registry]:
    """A registry that asks for ``registry.login``."""
    part = Registry(workspace("private-registry"), login=True)
    part.start()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def sshd(workspace: Callable[[str], Path]) -> Iterator[Sshd]:
    """OpenSSH's server. A test that stops it or changes its key must leave it running."""
    part = Sshd(workspace("sshd"))
    part.create()
    yield part
    part.stop()


@pytest.fixture(scope="session")
def haproxy_binary() -> str:
    """The HAProxy program; tests start it through the gateway's own driver."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    assert found, "haproxy is missing: run `make setup-test`"
    return found
