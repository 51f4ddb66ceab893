"""The state of services that run apart: backed up from real databases and restored into others."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, inspect, make_url, select

from funai.api import main as api
from funai.base.db import dumps
from funai.base.db.engine import Database
from funai.contracts.errors import ConfigError
from funai.deploy import main as deploy
from funai.deploy.tables import credential, job
from funai.standalone.layout import Layout
from funai.standalone.upkeep import backup, services
from tests.parts.databases import MariaDB, Postgres

COMMON = {
    "deploy.proxy-auth.shared-secret": "a" * 32,
    "deploy.admin.token": "b" * 32,
    "deploy.runtime-node-registry.shared-secret": "c" * 32,
    "deploy.runner-auth.token": "d" * 32,
}
API = {"jwt.secret": "f" * 32, "deploy-proxy.shared-secret": "a" * 32}
MORE_THAN_ASCII = "é 部署 \\ ' \" \x07"

Made = Callable[[str], str]


def settings(folder: Path, state: Path, of_api: str, of_deploy: str) -> Path:
    """The files of a platform of services; what they keep is below ``state``."""
    folder.mkdir()
    state.mkdir()
    files = {
        "api": {**API, "funai.api.datasource.url": of_api, "funai.env.key-file": f"{state}/seal.key"},
        "deploy": {**COMMON, "deploy.datasource.url": of_deploy, "funai.env.key-file": f"{state}/seal.key"},
        "git": {
            "GIT_REPOS_DIR": f"{state}/repos",
            "GIT_HOST_KEY_PATH": f"{state}/host_key",
            "FUNAI_API_BASE_URL": "http://127.0.0.1:8080",
            "GIT_INTERNAL_TOKEN": "e" * 32,
        },
    }
    for name, values in files.items():
        (folder / f"{name}.properties").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return folder


def all_rows(conn: Connection) -> dict[str, list[Any]]:
    found = MetaData()
    found.reflect(conn)
    assert "fun_ai_deploy_job" in found.tables or "funai_app" in found.tables
    return {name: sorted(map(repr, conn.execute(select(table)).all())) for name, table in found.tables.items()}


async def rows(url: str) -> dict[str, list[Any]]:
    db = Database(url)
    try:
        async with db.read() as conn:
            return await conn.run_sync(all_rows)
    finally:
        await db.close()


async def fill(of_api: str, of_deploy: str) -> None:
    for url, room in ((of_api, api), (of_deploy, deploy)):
        db = Database(url)
        await room.upgrade(db)
        if room is deploy:
            async with db.write() as conn:
                values = {"kind": "node", "name": MORE_THAN_ASCII, "token_hash": "x" * 64, "created_ms": 1}
                await conn.execute(credential.insert().values(values))
                await conn.execute(job.insert().values(type="BUILD_AND_DEPLOY", app_id=7, status="PENDING", payload_json="{}"))
        await db.close()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Answers the URL of a new database without tables."""
    if request.param == "sqlite":
        return lambda name: f"sqlite:///{tmp_path}/{name}.db"
    server: Postgres | MariaDB = request.getfixturevalue("postgres" if request.param == "postgresql" else "mariadb")

    def made(name: str) -> str:
        server.drop_database(f"services_{name}")
        request.addfinalizer(lambda: server.drop_database(f"services_{name}"))
        return server.create_database(f"services_{name}").replace("+asyncpg", "").replace("+asyncmy", "").partition("?")[0]

    return made


async def test_backup_of_services_comes_back_at_other_addresses_with_every_row_and_file(make: Made, tmp_path: Path) -> None:
    of_api, of_deploy = make("api"), make("deploy")
    old = settings(tmp_path / "etc", tmp_path / "state", of_api, of_deploy)
    (tmp_path / "state" / "seal.key").write_text("sealed")
    (tmp_path / "state" / "repos" / "u1").mkdir(parents=True)
    (tmp_path / "state" / "repos" / "u1" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "state" / "host_key.pub").write_text("public")
    await fill(of_api, of_deploy)
    made = await services.write(old, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    assert made.files >= 7

    new_api, new_deploy = make("new_api"), make("new_deploy")
    new = settings(tmp_path / "new-etc", tmp_path / "new", new_api, new_deploy)
    (new / "git.properties").write_text((new / "git.properties").read_text() + "# this machine's\n")
    back = await services.restore(tmp_path / "b.tar", new)
    assert (back.files, back.created) == (made.files, made.created)
    assert await rows(new_api) == await rows(of_api)
    assert await rows(new_deploy) == await rows(of_deploy)
    assert (await rows(new_deploy))["fun_ai_deploy_credential"][0].count("部署") == 1
    assert (tmp_path / "new" / "seal.key").read_text() == "sealed"
    assert (tmp_path / "new" / "repos" / "u1" / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert (tmp_path / "new" / "host_key.pub").read_text() == "public"
    assert "this machine's" in (new / "git.properties").read_text()
    db = Database(new_deploy)
    assert (await deploy.check(db))[-1].endswith("the newest")
    async with db.read() as conn:
        assert "fun_ai_deploy_job" in await conn.run_sync(lambda c: inspect(c).get_table_names())
    await db.close()
    with pytest.raises(ConfigError, match="already"):
        await services.restore(tmp_path / "b.tar", new)


async def test_restore_of_services_brings_their_settings_where_there_are_none(tmp_path: Path) -> None:
    of_api, of_deploy = (f"sqlite:///{tmp_path}/{name}.db" for name in ("api", "deploy"))
    old = settings(tmp_path / "etc", tmp_path / "state", of_api, of_deploy)
    await fill(of_api, of_deploy)
    before = await rows(of_deploy)
    await services.write(old, tmp_path / "b.tar.gz")
    for file in tmp_path.glob("*.db*"):
        file.unlink()
    await services.restore(tmp_path / "b.tar.gz", tmp_path / "elsewhere")
    assert {f.name for f in (tmp_path / "elsewhere").iterdir()} == {f.name for f in old.iterdir()}
    assert await rows(of_deploy) == before


async def test_restore_of_services_refuses_other_backups_and_kinds_of_databases(tmp_path: Path) -> None:
    old = settings(tmp_path / "etc", tmp_path / "state", f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/d.db")
    await fill(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/d.db")
    await services.write(old, tmp_path / "b.tar")
    new = settings(tmp_path / "pg", tmp_path / "new", "postgresql://u:p@127.0.0.1:1/a", "postgresql://u:p@127.0.0.1:1/d")
    with pytest.raises(ConfigError, match="kinds of databases"):
        await services.restore(tmp_path / "b.tar", new)
    with pytest.raises(ConfigError, match="--settings"):
        backup.restore(tmp_path / "b.tar", Layout(tmp_path / "one-machine"))
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        tar.add(old, "settings")
    with pytest.raises(ConfigError, match=r"c\.tar"):
        await services.restore(tmp_path / "c.tar", new)


def test_programs_are_given_no_password_by_argv(tmp_path: Path) -> None:
    secret = 'pa"ss\\word'
    url = make_url("postgresql://u@db.example:5433/deploy").set(password=secret)
    for command in (dumps.pg_dump(url, tmp_path / "d"), dumps.pg_restore(url, tmp_path / "d")):
        assert not any(secret in word for word in command.argv)
        assert command.env is not None and command.env["PGPASSWORD"] == secret
    with dumps.option_file(url) as options:
        assert options.stat().st_mode & 0o777 == 0o600
        assert 'password="pa\\"ss\\\\word"' in options.read_text()
        for command in (dumps.mysql_dump(url, tmp_path / "d", options), dumps.mysql_load(url, tmp_path / "d", options)):
            assert not any(secret in word for word in command.argv)
    assert not options.exists()
