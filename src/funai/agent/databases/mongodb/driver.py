"""MongoDB as apps' database: one database an app, reached with the shared account or with one of its own.

An account of its own is a user *in* the app's database, so that its credentials name nothing else. Its custom data hold how
often its password was rotated. Commands: ``createUser``, ``updateUser``, ``dropUser``, ``usersInfo``, ``createRole``,
``dbStats``, ``dropDatabase``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from funai.agent.databases import names
from funai.agent.databases.contract import AppKey, Credentials, DatabaseAway, DatabaseRefused
from funai.agent.databases.mongodb import dump as mongo_dump
from funai.agent.databases.settings import DatabaseSettings
from funai.contracts.apps.databases import Kind

META = "__funai_meta__"
SECONDS = 3.0
SHRINK = "funaiShrink"
"""The role of an app that is over its quota: it reads and deletes."""
_SHRINK_ACTIONS = ("find", "remove", "listCollections", "listIndexes", "collStats", "dbStats", "dropCollection", "killCursors")
_USER_EXISTS, _ROLE_EXISTS, _USER_NOT_FOUND, _NO_SUCH_COMMAND = 51003, 51002, 11, 59
VARIABLES = ("MONGODB_URI", "MONGO_URL", "FUNAI_MONGO_DB_NAME")

Document = dict[str, Any]


@contextmanager
def _words() -> Iterator[None]:
    """The driver's errors for pymongo's."""
    try:
        yield
    except (ConnectionFailure, TimeoutError) as e:
        raise DatabaseAway(str(e)[:300] or type(e).__name__) from e
    except PyMongoError as e:
        raise DatabaseRefused(str(e)[:300]) from e


class MongoDriver:
    kind = Kind.MONGO
    every_app = True
    variables = VARIABLES

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._password = settings.mongo_password.get_secret_value() if settings.mongo_password else ""
        self._client: AsyncMongoClient[Document] | None = None
        self.drops_on_delete = settings.mongo_drop_on_delete

    @property
    def address(self) -> tuple[str, int]:
        return self._settings.mongo_host, self._settings.mongo_port

    @property
    def client(self) -> AsyncMongoClient[Document]:
        """Connects at first use. Every call is bounded: an app's deploy waits for it."""
        if self._client is None:
            s = self._settings
            login: dict[str, Any] = {
                "username": s.mongo_username,
                "password": self._password,
                "authSource": s.mongo_auth_source,
            }
            self._client = AsyncMongoClient(
                s.mongo_host,
                s.mongo_port,
                serverSelectionTimeoutMS=int(SECONDS * 1000),
                connectTimeoutMS=int(SECONDS * 1000),
                socketTimeoutMS=60_000,
                maxPoolSize=16,
                appname="funai-agent",
                tz_aware=True,
                **(login if s.mongo_username else {}),
            )
        return self._client

    def database(self, name: str) -> AsyncDatabase[Document]:
        return self.client.get_database(name)

    def name(self, user_id: int, app_id: int) -> str:
        return names.database_name(self._settings.mongo_db_template, user_id, app_id)

    def app_of(self, name: str) -> int | None:
        return names.app_of(self._settings.mongo_db_template, name)

    # -- life -------------------------------------------------------------------------------------------------------

    async def create(self, app: AppKey) -> None:
        with _words():
            if self._settings.mongo_per_app_users:
                await self._account(app)
            if self._settings.mongo_precreate:
                async with asyncio.timeout(self._settings.mongo_precreate_timeout_seconds):
                    first = {"createdAt": datetime.now(UTC), "userId": app.user_id, "appId": app.app_id}
                    await self.database(app.name)[META].update_one({"_id": "init"}, {"$setOnInsert": first}, upsert=True)

    async def exists(self, app: AppKey) -> bool:
        with _words():
            if self._settings.mongo_per_app_users and await self._user(app) is not None:
                return True
            return bool(await self.database(app.name).list_collection_names())

    async def drop(self, app: AppKey) -> bool:
        with _words():
            there = bool(await self.database(app.name).list_collection_names())
            await self.client.drop_database(app.name)
            if self._settings.mongo_per_app_users:
                await self._without_account(app)
        return there

    async def _without_account(self, app: AppKey) -> None:
        for command in ({"dropUser": app.name}, {"dropAllRolesFromDatabase": 1}):
            try:
                await self.database(app.name).command(command)
            except OperationFailure as e:
                if e.code not in (_USER_NOT_FOUND, _NO_SUCH_COMMAND):
                    raise

    # -- accounts ---------------------------------------------------------------------------------------------------

    async def credentials(self, app: AppKey) -> Credentials:
        return self.guessed(app, await self.rotation(app))

    def guessed(self, app: AppKey, rotation: int) -> Credentials:
        s, own = self._settings, self._settings.mongo_per_app_users
        user = app.name if own else s.mongo_username
        password = _derived(self._password, app, rotation) if own else self._password
        source = app.name if own else s.mongo_auth_source
        query = f"authSource={source}" if user else ""
        url = names.url("mongodb", s.mongo_host, s.mongo_port, app.name, user=user, password=password, query=query)
        return Credentials(url, {"MONGODB_URI": url, "MONGO_URL": url, "FUNAI_MONGO_DB_NAME": app.name}, own=own)

    async def rotation(self, app: AppKey) -> int:
        if not self._settings.mongo_per_app_users:
            return 0
        with _words():
            return _rotation(await self._user(app))

    async def rotate(self, app: AppKey) -> None:
        if not self._settings.mongo_per_app_users:
            raise DatabaseRefused("the account is shared by all apps: set RUNTIME_MONGO_PER_APP_USERS=true")
        with _words():
            count = _rotation(await self._user(app)) + 1
            await self.database(app.name).command(password_change(app.name, _derived(self._password, app, count), count))

    async def _user(self, app: AppKey) -> Mapping[str, Any] | None:
        found = await self.database(app.name).command({"usersInfo": app.name})
        return found["users"][0] if found.get("users") else None

    async def _account(self, app: AppKey) -> None:
        """The app's user with the password it should have. One that is there keeps its roles: it may be over its quota."""
        user = await self._user(app)
        count = _rotation(user)
        password, db = _derived(self._password, app, count), self.database(app.name)
        if user is None:
            try:
                await db.command(new_user(app.name, password, count))
                return
            except OperationFailure as e:
                if e.code != _USER_EXISTS:
                    raise
        await db.command(password_change(app.name, password, count))

    # -- size -------------------------------------------------------------------------------------------------------

    async def size(self, app: AppKey) -> int:
        with _words():
            stats = await self.database(app.name).command({"dbStats": 1})
        return int(stats.get("totalSize") or float(stats.get("storageSize", 0)) + float(stats.get("indexSize", 0)))

    async def limit(self, app: AppKey, *, read_only: bool) -> bool:
        if not self._settings.mongo_per_app_users:
            return False
        db = self.database(app.name)
        with _words():
            if read_only:
                try:
                    await db.command(shrink_role(app.name))
                except OperationFailure as e:
                    if e.code != _ROLE_EXISTS:
                        raise
            await db.command(roles_change(app.name, read_only=read_only))
        return True

    async def limited(self, app: AppKey) -> bool:
        if not self._settings.mongo_per_app_users:
            return False
        with _words():
            user = await self._user(app)
        return any(role.get("role") == SHRINK for role in (user or {}).get("roles", ()))

    # -- all of it --------------------------------------------------------------------------------------------------

    async def dump(self, app: AppKey) -> AsyncIterator[bytes]:
        with _words():
            async for piece in mongo_dump.dump(self.database(app.name)):
                yield piece

    async def restore(self, app: AppKey, chunks: AsyncIterator[bytes]) -> None:
        with _words():
            try:
                await mongo_dump.restore(self.database(app.name), chunks)
            except mongo_dump.DumpBroken as e:
                raise DatabaseRefused(str(e)) from e

    async def names(self) -> list[str]:
        with _words():
            return [n for n in await self.client.list_database_names() if self.app_of(n) is not None]

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


def _derived(password: str, app: AppKey, rotation: int) -> str:
    return names.derived_password(password, f"mongo/{app.name}", rotation)


def _rotation(user: Mapping[str, Any] | None) -> int:
    kept: Mapping[str, Any] = (user or {}).get("customData") or {}
    return int(kept.get("rotation", 0))


# Commands as values: what a server without accounts of its own can't show, the tests check against their published form.


def new_user(name: str, password: str, rotation: int) -> Document:
    """A user of the database ``name`` that reads and writes there, and has no role anywhere else."""
    return {"createUser": name, "pwd": password, "roles": [{"role": "readWrite", "db": name}], **_counted(rotation)}


def password_change(name: str, password: str, rotation: int) -> Document:
    return {"updateUser": name, "pwd": password, **_counted(rotation)}


def _counted(rotation: int) -> Document:
    return {"customData": {"rotation": rotation}} if rotation else {}


def shrink_role(name: str) -> Document:
    resource = {"db": name, "collection": ""}
    return {"createRole": SHRINK, "privileges": [{"resource": resource, "actions": list(_SHRINK_ACTIONS)}], "roles": []}


def roles_change(name: str, *, read_only: bool) -> Document:
    return {"updateUser": name, "roles": [{"role": SHRINK if read_only else "readWrite", "db": name}]}
