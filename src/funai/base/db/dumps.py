"""A whole database in one file and back, by the database's own programs. Passwords go by environment or file, never by argv.

SQLite: a copy. PostgreSQL: ``pg_dump``'s custom format, as one transaction back. MySQL and MariaDB: SQL of one moment.
"""

from __future__ import annotations

import asyncio
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, inspect, make_url

from funai.base.db.copying import copy_sqlite
from funai.base.db.engine import Database
from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, run
from funai.contracts.errors import ConfigError

SECONDS = 6 * 3600.0


async def dump(url: str, target: Path) -> None:
    """Writes the database into a new file, while it is in use. Raises ConfigError."""
    parts = make_url(url)
    match parts.get_backend_name():
        case "sqlite":
            try:
                await asyncio.to_thread(copy_sqlite, Path(parts.database or ""), target)
            except OSError as e:
                raise ConfigError([str(e)]) from e
        case "postgresql":
            await _run(pg_dump(parts, target), "postgresql-client", parts)
        case _:
            with option_file(parts) as options:
                await _run(mysql_dump(parts, target, options), "mariadb-client", parts)


async def load(url: str, source: Path) -> None:
    """Reads such a file into a database without tables. Raises ConfigError; PostgreSQL's database is empty then."""
    parts = make_url(url)
    match parts.get_backend_name():
        case "sqlite":
            shutil.copyfile(source, parts.database or "")
            os.chmod(parts.database or "", 0o600)
        case "postgresql":
            await _run(pg_restore(parts, source), "postgresql-client", parts)
        case _:
            with option_file(parts) as options:
                await _run(mysql_load(parts, source, options), "mariadb-client", parts)


async def check_empty(url: str) -> None:
    """Raises ConfigError for a database that has tables, or can't be reached."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        if Path(parts.database or "").exists():
            raise ConfigError([f"{parts.database}: is there already; move it aside"])
        return
    db = Database(url)
    try:
        async with db.read() as conn:
            tables = await conn.run_sync(lambda c: inspect(c).get_table_names())
    finally:
        await db.close()
    if tables:
        raise ConfigError([f"{_shown(parts)}: has tables already ({tables[0]}, …); make an empty database, and name it"])


def pg_dump(url: URL, target: Path) -> Command:
    words = ("--format=custom", "--no-owner", "--no-privileges", "--no-password", f"--file={target}")
    return Command((_postgres_program("pg_dump"), *words), env=_pg_env(url), umask=0o077)


def pg_restore(url: URL, source: Path) -> Command:
    words = ("--no-owner", "--no-privileges", "--no-password", "--single-transaction", "--exit-on-error")
    return Command((_postgres_program("pg_restore"), *words, f"--dbname={url.database}", str(source)), env=_pg_env(url))


def mysql_dump(url: URL, target: Path, options: Path) -> Command:
    words = ("--single-transaction", "--quick", "--no-tablespaces", "--hex-blob", "--skip-add-drop-table")
    program = shutil.which("mariadb-dump") or "mysqldump"
    return Command((program, f"--defaults-file={options}", *words, f"--result-file={target}", _name(url)), umask=0o077)


def mysql_load(url: URL, source: Path, options: Path) -> Command:
    if re.search(r"\s", str(source)):
        raise ConfigError([f"{source}: a path without spaces is needed"])
    program = shutil.which("mariadb") or "mysql"
    return Command((program, f"--defaults-file={options}", f"--execute=source {source}", _name(url)))


@contextmanager
def option_file(url: URL) -> Iterator[Path]:
    """The account in a file of this user's alone, gone afterwards."""
    given = {"host": url.host or "localhost", "port": str(url.port or 3306), "user": url.username, "password": url.password}
    lines = [f'{key}="{_escaped(str(value))}"' for key, value in given.items() if value]
    fd, name = tempfile.mkstemp(prefix="funai-")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as out:
            out.write("\n".join(["[client]", "protocol=tcp", "default-character-set=utf8mb4", *lines, ""]))
        yield Path(name)
    finally:
        os.unlink(name)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _name(url: URL) -> str:
    """A database's name as an argument: it can't be an option. Raises ConfigError."""
    if not url.database or url.database.startswith("-"):
        raise ConfigError([f"{_shown(url)}: names no database"])
    return url.database


def _pg_env(url: URL) -> dict[str, str]:
    return {
        "PGHOST": url.host or "",
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "PGDATABASE": _name(url),
        "PGCONNECT_TIMEOUT": "10",
        "PGPASSFILE": "/dev/null",
    }


def _postgres_program(name: str) -> str:
    """The newest that Debian has side by side, else the one on PATH: it must not be older than the server."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda p: [int(n) for n in re.findall(r"\d+", p)])
    return found[-1] if found else name


async def _run(command: Command, package: str, url: URL) -> None:
    try:
        done = await run(command, timeout=SECONDS)
    except ProcessMissing as e:
        raise ConfigError([f"{e}: install {package}"]) from e
    except ProcessTimeout as e:
        raise ConfigError([str(e)]) from e
    if done.code != 0:
        program = Path(command.argv[0]).name
        raise ConfigError([f"{_shown(url)}: {program} failed: {done.error_text[:500] or done.code}"])


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)
