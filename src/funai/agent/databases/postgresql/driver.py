"""PostgreSQL as apps' database: a database and a role of the same name for each app.

The database belongs to the platform's account; the app's role may connect to it, make schemas in it and owns what it makes.
No other role may connect. An app over its quota has its objects moved to a second role that cannot log in, and keeps the right
to read and delete: an owner could give itself the right to write back. The role's comment holds how often its password was
rotated. Names are made by :mod:`names` of letters, digits, ``_`` and ``-``, and quoted all the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import asyncpg

from funai.agent.databases import names
from funai.agent.databases.contract import AppKey, Credentials, DatabaseAway, DatabaseMissing, DatabaseRefused
from funai.agent.databases.postgresql import programs as pg_programs
from funai.agent.databases.settings import DatabaseSettings
from funai.contracts.apps.databases import Kind

SECONDS = 5
COMMAND_SECONDS = 60.0
LOCK_SECONDS = 5
_ROTATION = re.compile(r"funai rotation=(\d+)")
_OWNER = "_ro"
"""The role that owns the objects of an app which is over its quota."""
_LARGE_OBJECTS = ("pg_catalog.lo_creat(integer)", "pg_catalog.lo_create(oid)", "pg_catalog.lo_from_bytea(oid, bytea)")
"""What makes large objects, which asks for no right in any schema."""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"


_connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class Connection(Protocol):
    """What is asked of an asyncpg connection."""

    async def execute(self, query: str) -> str: ...

    async def fetchval(self, query: str, *args: str) -> Any: ...

    async def fetch(self, query: str) -> list[Mapping[str, Any]]: ...

    def transaction(self) -> AbstractAsyncContextManager[None]: ...

    async def close(self, *, timeout: float) -> None: ...


class _Locked(DatabaseRefused):
    """A lock was not got in time."""


@contextmanager
def _words() -> Iterator[None]:
    """The driver's errors for asyncpg's. A refusal's text names no password: statements are not in it."""
    try:
        yield
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as e:
        raise DatabaseRefused(
            f"the server refused the platform's account ({type(e).__name__}); see RUNTIME_POSTGRES_URL"
        ) from e
    except asyncpg.InvalidCatalogNameError as e:
        raise DatabaseMissing("no such database") from e
    except (
        OSError,
        TimeoutError,
        asyncpg.CannotConnectNowError,
        asyncpg.ConnectionDoesNotExistError,
        asyncpg.TooManyConnectionsError,
        asyncpg.AdminShutdownError,
    ) as e:
        raise DatabaseAway(str(e)[:300] or type(e).__name__) from e
    except asyncpg.LockNotAvailableError as e:
        raise _Locked("the app holds a lock") from e
    except asyncpg.PostgresError as e:
        raise DatabaseRefused(f"{type(e).__name__}: {str(e)[:300]}") from e


class _Server:
    """The server, with the login that the operator gave."""

    def __init__(self, settings: DatabaseSettings) -> None:
        assert settings.postgres_url is not None
        url = urlsplit(settings.postgres_url.get_secret_value())
        self._host, self._port = url.hostname or "", url.port or 5432
        self._user, self._password = unquote(url.username or ""), unquote(url.password or "")
        self._home = unquote(url.path.lstrip("/")) or "postgres"
        self._query, self._template = url.query, settings.postgres_db_template
        self._connections = settings.postgres_connections
        self.drops_on_delete = settings.postgres_drop_on_delete

    @property
    def address(self) -> tuple[str, int]:
        return self._host, self._port

    def _url(self, database: str, user: str, password: str) -> str:
        return names.url("postgresql", self._host, self._port, database, user=user, password=password, query=self._query)

    def _derived(self, app: AppKey, rotation: int) -> str:
        return names.derived_password(self._password, f"postgres/{app.name}", rotation)

    @asynccontextmanager
    async def _connection(self, database: str = "") -> AsyncIterator[Connection]:
        with _words():
            async with asyncio.timeout(SECONDS):
                opened: Connection = await _connect(
                    self._url(database or self._home, self._user, self._password),
                    timeout=SECONDS,
                    command_timeout=COMMAND_SECONDS,
                    passfile=Path("/dev/null"),
                    # No search path: in an app's database its own functions and operators would be found by it.
                    server_settings={"application_name": "funai-agent", "search_path": ""},
                )
            try:
                yield opened
            finally:
                await opened.close(timeout=SECONDS)


class PostgresDriver(_Server):
    kind = Kind.POSTGRES
    every_app = False
    variables = ("DATABASE_URL",)

    def name(self, user_id: int, app_id: int) -> str:
        return names.database_name(self._template, user_id, app_id)

    def app_of(self, name: str) -> int | None:
        return names.app_of(self._template, name)

    # -- life -------------------------------------------------------------------------------------------------------

    async def create(self, app: AppKey) -> None:
        async with self._connection() as admin:
            made = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", app.name)
            count = await _rotation(admin, app.name)
            verb = "ALTER" if made else "CREATE"
            limits = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT {self._connections}"
            await admin.execute(f"{verb} ROLE {_q(app.name)} {limits} PASSWORD '{self._derived(app, count)}'")
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", app.name):
                await admin.execute(f"CREATE DATABASE {_q(app.name)}")
                await admin.execute(f"REVOKE ALL ON DATABASE {_q(app.name)} FROM PUBLIC")
        if not made or not await self.limited(app):
            await self._open(app)

    async def _open(self, app: AppKey) -> None:
        """The app's role may connect, write, and make what it likes inside its database."""
        async with self._connection(app.name) as inside:
            role = _q(app.name)
            await inside.execute(f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {role} TO {role}")
            await inside.execute(f"GRANT ALL ON SCHEMA public TO {role}")

    async def exists(self, app: AppKey) -> bool:
        async with self._connection() as admin:
            return bool(await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", app.name))

    async def drop(self, app: AppKey) -> bool:
        async with self._connection() as admin:
            there = bool(await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", app.name))
            await admin.execute(f"DROP DATABASE IF EXISTS {_q(app.name)} WITH (FORCE)")
            for role in (app.name, app.name + _OWNER):
                await admin.execute(f"DROP ROLE IF EXISTS {_q(role)}")
        return there

    # -- accounts ---------------------------------------------------------------------------------------------------

    async def credentials(self, app: AppKey) -> Credentials:
        return self.guessed(app, await self.rotation(app))

    def guessed(self, app: AppKey, rotation: int) -> Credentials:
        url = self._url(app.name, app.name, self._derived(app, rotation))
        return Credentials(url, {"DATABASE_URL": url})

    async def rotation(self, app: AppKey) -> int:
        async with self._connection() as admin:
            return await _rotation(admin, app.name)

    async def rotate(self, app: AppKey) -> None:
        async with self._connection() as admin, admin.transaction():
            if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", app.name):
                raise DatabaseMissing("the app has no database here")
            count = await _rotation(admin, app.name) + 1
            await admin.execute(f"ALTER ROLE {_q(app.name)} PASSWORD '{self._derived(app, count)}'")
            await admin.execute(f"COMMENT ON ROLE {_q(app.name)} IS 'funai rotation={count}'")

    # -- size -------------------------------------------------------------------------------------------------------

    async def size(self, app: AppKey) -> int:
        async with self._connection() as admin:
            return int(await admin.fetchval("SELECT pg_database_size($1::name)", app.name))

    async def limit(self, app: AppKey, *, read_only: bool) -> bool:
        async with self._connection() as admin:
            if not await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", app.name + _OWNER):
                await admin.execute(f"CREATE ROLE {_q(app.name + _OWNER)} NOLOGIN")
        try:
            await self._regrant(app, read_only=read_only)
        except _Locked:
            async with self._without_the_app(app):
                await self._regrant(app, read_only=read_only)
        return True

    async def _regrant(self, app: AppKey, *, read_only: bool) -> None:
        """Raises _Locked when the app holds a lock on something of its own."""
        async with self._connection(app.name) as inside, inside.transaction():
            await inside.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            schemas = [row["nspname"] for row in await inside.fetch(_SCHEMAS)]
            for statement in _shut(app.name, schemas) if read_only else _reopened(app.name, schemas):
                await inside.execute(statement)

    @asynccontextmanager
    async def _without_the_app(self, app: AppKey) -> AsyncIterator[None]:
        """Ends the app's connections and admits no new one: a lock that it holds would keep its quota from being enforced."""
        async with self._connection() as admin:
            await admin.execute(f"ALTER ROLE {_q(app.name)} NOLOGIN")
            await admin.fetchval("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", app.name)
        try:
            yield
        finally:
            async with self._connection() as admin:
                await admin.execute(f"ALTER ROLE {_q(app.name)} LOGIN")

    async def limited(self, app: AppKey) -> bool:
        async with self._connection() as admin:
            may = await admin.fetchval(
                "SELECT has_database_privilege(rolname, $1, 'CREATE') FROM pg_roles WHERE rolname = $1", app.name
            )
        return may is False

    # -- all of it --------------------------------------------------------------------------------------------------

    async def dump(self, app: AppKey) -> AsyncIterator[bytes]:
        async with self._as_the_app(app) as url:
            async for piece in pg_programs.dump(url):
                yield piece

    async def restore(self, app: AppKey, chunks: AsyncIterator[bytes]) -> None:
        """Into a new database in the old one's place, so that nothing of what was there stays."""
        async with self._connection() as admin:
            await admin.execute(f"DROP DATABASE IF EXISTS {_q(app.name)} WITH (FORCE)")
        await self.create(app)
        await self._open(app)
        async with self._as_the_app(app) as url:
            await pg_programs.restore(url, chunks)

    @asynccontextmanager
    async def _as_the_app(self, app: AppKey) -> AsyncIterator[str]:
        """The address for a program that reads or runs what the app made: as the app's own role, because functions in
        constraints and defaults run as whoever restores them. The app can't keep it out by taking all its connections.
        """
        role = _q(app.name)
        async with self._connection() as admin:
            await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1")
            count = await _rotation(admin, app.name)
        try:
            yield self._url(app.name, app.name, self._derived(app, count))
        finally:
            async with self._connection() as admin:
                await admin.execute(f"ALTER ROLE {role} CONNECTION LIMIT {self._connections}")

    async def names(self) -> list[str]:
        async with self._connection() as admin:
            rows = await admin.fetch("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname")
        return [row["datname"] for row in rows if self.app_of(row["datname"]) is not None]

    async def close(self) -> None:
        """Connections live as long as a call."""


async def _rotation(conn: Connection, role: str) -> int:
    said = await conn.fetchval("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1", role)
    found = _ROTATION.fullmatch(said or "")
    return int(found[1]) if found else 0


def _q(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def _shut(name: str, schemas: Sequence[str]) -> list[str]:
    """The app reads and deletes; it makes, changes and fills nothing."""
    role, owner = _q(name), _q(name + _OWNER)
    out = [f"REVOKE CREATE, TEMPORARY ON DATABASE {role} FROM {role}", f"REASSIGN OWNED BY {role} TO {owner}"]
    out += [f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC" for function in _LARGE_OBJECTS]
    for schema in map(_q, schemas):
        out += [
            f"REVOKE ALL ON SCHEMA {schema} FROM {role}",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}",
            f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
            f"GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
            f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        ]
    return out


def _reopened(name: str, schemas: Sequence[str]) -> list[str]:
    role, owner = _q(name), _q(name + _OWNER)
    return [
        f"REASSIGN OWNED BY {owner} TO {role}",
        f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {role} TO {role}",
        *(f"GRANT EXECUTE ON FUNCTION {function} TO PUBLIC" for function in _LARGE_OBJECTS),
        *(f"GRANT ALL ON SCHEMA {_q(schema)} TO {role}" for schema in schemas),
        *(f"GRANT ALL ON ALL TABLES IN SCHEMA {_q(schema)} TO {role}" for schema in schemas),
    ]
