"""Apps' databases as the agent offers them: what an app gets at each deploy and start, and what its owner asks for.

A deploy never fails for its database: a server that is away is reported in a note, the app gets the credentials that it
will have, and the sweep makes what is missing. An app's own variables win over ours, which a note says too.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from funai.agent.databases.backups import Backups, chunks
from funai.agent.databases.contract import AppKey, DatabaseAway, DatabaseError, DatabaseMissing, Driver
from funai.agent.databases.ledger import Ledger
from funai.agent.databases.quota import Quota
from funai.base.observability import log
from funai.base.observability.redact import Redactor, secrets_of
from funai.contracts.agent import AgentDeploy
from funai.contracts.apps.databases import AppDatabase, AppDatabases, Backup, DatabaseCall, DatabaseUrl, Dropped, Kind
from funai.contracts.errors import BadInput, CalleeFailed, Conflict, FunaiError, NotFound, Unavailable
from funai.contracts.reasons import Reason

DEPLOY_SECONDS = 6.0
"""The longest that all databases together may hold up a deploy."""
BUSY_SECONDS = 10.0
"""The longest that a call waits for another one about the same app's databases, such as a restore."""
GIVEN = ("MONGODB_URI", "MONGO_URL", "FUNAI_MONGO_DB_NAME", "DATABASE_URL")
"""Every variable that a database may bring."""
TITLES = {Kind.MONGO: "MongoDB", Kind.POSTGRES: "PostgreSQL"}


@dataclass(frozen=True)
class Given:
    """What the platform adds to an app's environment, and what its owner should know about it."""

    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    notes: Sequence[str] = ()

    def added_to(self, wanted: AgentDeploy) -> AgentDeploy:
        """The rollout with these variables; those of its own win."""
        return wanted.model_copy(update={"env": {**self.env, **(wanted.env or {})}}) if self.env else wanted

    def masked(self, lines: Sequence[str]) -> list[str]:
        """An app's output as it may be kept with a job: without the passwords that the platform gave it."""
        hide = Redactor(secrets_of(self.env))
        return [hide(line) for line in lines]


def _near(kinds: Sequence[Kind]) -> str:
    titles = ", ".join(TITLES[k] for k in kinds)
    zh = f"应用的 {titles} 数据库已用去配额的 80% 以上；超过后将只能读取和删除"
    return f"{zh} / the app's {titles} database has over 80 % of its quota; over it the app may read and delete, not write"


def fingerprint(env: Mapping[str, str] | None) -> str:
    """Of an app's database variables, empty without any: a container that was made with others is made again at its start."""
    text = "\0".join(f"{name}={env[name]}" for name in GIVEN if env and name in env)
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


class Databases:
    def __init__(self, drivers: Sequence[Driver], backups: Backups, ledger: Ledger, quota_bytes: int = 0) -> None:
        self.drivers: Mapping[Kind, Driver] = {d.kind: d for d in drivers}
        self.backups, self.ledger = backups, ledger
        self.quota = Quota(quota_bytes)
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        """One an app, for as long as a call holds it or waits for it."""

    # -- deploys ----------------------------------------------------------------------------------------------------

    async def given(self, wanted: AgentDeploy) -> Given:
        """For a deploy or start. Never raises for a database that is away or refuses."""
        env: dict[str, str] = {}
        notes: list[str] = []
        user_id, app_id = int(wanted.user_id), int(wanted.app_id)
        for driver in self.drivers.values():
            own = sorted(set(driver.variables) & set(wanted.env or {}))
            found = await self._prepared(driver, user_id, app_id, notes)
            if found and own:
                notes.append(_own_wins(driver.kind, own))
            env |= {name: value for name, value in found.items() if name not in (wanted.env or {})}
        return Given(env, [*notes, *self._quota_notes(app_id)])

    def _quota_notes(self, app_id: int) -> list[str]:
        full, near = self.quota.full_of(app_id), self.quota.near_of(app_id)
        return ([_full(full)] if full else []) + ([_near(near)] if near else [])

    async def _prepared(self, driver: Driver, user_id: int, app_id: int, notes: list[str]) -> Mapping[str, str]:
        app = AppKey(user_id, app_id, driver.name(user_id, app_id))
        try:
            async with asyncio.timeout(DEPLOY_SECONDS):
                if not driver.every_app and not await driver.exists(app):
                    await self.ledger.forget(app_id, driver.kind)
                    return {}
                rotation = await driver.rotation(app)
                await driver.create(app)
        except (DatabaseError, TimeoutError) as e:
            known = self.ledger.rotation(app_id, driver.kind)
            log.get("databases").warning("database.away_at_deploy", app_id=app_id, kind=driver.kind, why=str(e)[:200])
            if known is None and not driver.every_app:
                return {}
            notes.append(_away(driver.kind, e))
            rotation = known or 0
        await self.ledger.note(user_id, app_id, driver.kind, rotation)
        return driver.guessed(app, rotation).variables

    async def deleted(self, user_id: int, app_id: int) -> str | None:
        """What became of a deleted app's databases; begins with ``failed`` when it has to be tried again."""
        done: list[str] = []
        failed: list[str] = []
        for driver in self.drivers.values():
            app = AppKey(user_id, app_id, driver.name(user_id, app_id))
            if not driver.drops_on_delete:
                done.append(f"kept {driver.kind} {app.name}")
                continue
            try:
                done.append(f"dropped {driver.kind} {app.name}" if await driver.drop(app) else f"{driver.kind}: nothing there")
            except DatabaseError as e:
                failed.append(f"{driver.kind} {app.name}: {e}")
        if not failed:
            await self.ledger.forget(app_id)
            self.quota.forget(app_id)
        return "; ".join([f"failed: {f}" for f in failed] + done) or None

    async def left(self, app_id: int) -> None:
        """The app lives on another node: its databases are that one's to care for."""
        await self.ledger.forget(app_id)
        self.quota.forget(app_id)

    # -- what owners ask for ----------------------------------------------------------------------------------------

    async def create(self, call: DatabaseCall) -> AppDatabases:
        driver, app = self._one(call)
        async with self._held(driver, app):
            await driver.create(app)
            await self.ledger.note(app.user_id, app.app_id, driver.kind, await driver.rotation(app))
        return await self.info(call)

    async def info(self, call: DatabaseCall) -> AppDatabases:
        user_id, app_id = int(call.user_id), int(call.app_id)
        found: list[AppDatabase] = []
        notes: list[str] = []
        for driver in self.drivers.values():
            app = AppKey(user_id, app_id, driver.name(user_id, app_id))
            try:
                if await driver.exists(app):
                    found.append(await self._shown(driver, app))
            except DatabaseError as e:
                notes.append(_away(driver.kind, e))
        return AppDatabases(
            app_id=app_id,
            kinds=list(self.drivers),
            databases=found,
            backups=self.backups.of(user_id, app_id),
            notes=[*notes, *self._quota_notes(app_id)],
        )

    async def _shown(self, driver: Driver, app: AppKey) -> AppDatabase:
        own = driver.guessed(app, 0).own
        size, limited = await driver.size(app), await driver.limited(app)
        return AppDatabase(
            kind=driver.kind,
            name=app.name,
            own_account=own,
            size_bytes=size,
            quota_bytes=self.quota.limit or None,
            read_only=limited,
        )

    async def url(self, call: DatabaseCall) -> DatabaseUrl:
        driver, app = self._one(call)
        async with self._held(driver, app):
            if not await driver.exists(app):
                raise DatabaseMissing(app.name)
            found = await driver.credentials(app)
        return DatabaseUrl(kind=driver.kind, name=app.name, url=found.url, variables=dict(found.variables))

    async def rotate(self, call: DatabaseCall) -> DatabaseUrl:
        driver, app = self._one(call)
        async with self._held(driver, app):
            if not await driver.exists(app):
                raise DatabaseMissing(app.name)
            if not driver.guessed(app, 0).own:
                raise Conflict(Reason.DATABASE_ACCOUNT_SHARED)
            await driver.rotate(app)
            await self.ledger.note(app.user_id, app.app_id, driver.kind, await driver.rotation(app))
        return await self.url(call)

    async def drop(self, call: DatabaseCall) -> Dropped:
        driver, app = self._one(call)
        async with self._held(driver, app):
            gone = await driver.drop(app)
            await self.ledger.forget(app.app_id, driver.kind)
            self.quota.forget(app.app_id)
        return Dropped(app_id=app.app_id, dropped=[app.name] if gone else [])

    async def forget(self, call: DatabaseCall) -> Dropped:
        """For an app that was never on a node, whose deletion reaches no agent otherwise. Raises CalleeFailed."""
        done = await self.deleted(int(call.user_id), int(call.app_id)) or ""
        if done.startswith("failed"):
            raise CalleeFailed(service="database", detail=done)
        return Dropped(app_id=int(call.app_id), dropped=[part for part in done.split("; ") if part.startswith("dropped")])

    async def backup(self, call: DatabaseCall) -> Backup:
        driver, app = self._one(call)
        async with self._held(driver, app):
            return await self.back_up(driver, app)

    async def back_up(self, driver: Driver, app: AppKey) -> Backup:
        if not await driver.exists(app):
            raise DatabaseMissing(app.name)
        try:
            made = await self.backups.make(driver, app)
        except OSError as e:
            raise Unavailable(Reason.DATABASE_BACKUP_FAILED, detail=f"{e.filename or ''} {e.strerror or e}".strip()) from e
        log.get("databases").info("database.backed_up", app_id=app.app_id, kind=driver.kind, bytes=made.size_bytes)
        return made

    async def restore(self, call: DatabaseCall) -> AppDatabases:
        """Replaces what the database holds by a backup of this app, or of another of the same owner."""
        driver, app = self._one(call)
        file = self.backups.file(app.user_id, call.from_app_id or app.app_id, driver.kind, call.backup)
        if file is None:
            raise NotFound(Reason.DATABASE_BACKUP_NOT_FOUND)
        async with self._held(driver, app):
            await driver.create(app)
            await driver.restore(app, chunks(file))
            await self.ledger.note(app.user_id, app.app_id, driver.kind, await driver.rotation(app))
        log.get("databases").info("database.restored", app_id=app.app_id, kind=driver.kind, backup=file.stem)
        return await self.info(call)

    def _one(self, call: DatabaseCall) -> tuple[Driver, AppKey]:
        if not self.drivers:
            raise Conflict(Reason.DATABASES_OFF)
        offered = ", ".join(self.drivers)
        if call.kind is None and len(self.drivers) > 1:
            raise BadInput(Reason.DATABASE_KIND_UNCLEAR, kinds=offered)
        driver = self.drivers.get(call.kind) if call.kind else next(iter(self.drivers.values()))
        if driver is None:
            raise Conflict(Reason.DATABASE_NOT_OFFERED, kind=call.kind, kinds=offered)
        user_id, app_id = int(call.user_id), int(call.app_id)
        return driver, AppKey(user_id, app_id, driver.name(user_id, app_id))

    @asynccontextmanager
    async def _held(self, driver: Driver, app: AppKey) -> AsyncIterator[None]:
        """The app's databases for one caller at a time, and the driver's errors in the API's words.

        Raises Conflict DATABASE_BUSY.
        """
        lock = self._locks.setdefault(app.app_id, asyncio.Lock())
        try:
            await asyncio.wait_for(lock.acquire(), BUSY_SECONDS)
        except TimeoutError as e:
            raise Conflict(Reason.DATABASE_BUSY) from e
        try:
            yield
        except DatabaseError as e:
            raise in_words(driver.kind, e) from e
        finally:
            lock.release()

    def known(self) -> list[tuple[Driver, AppKey]]:
        """Databases of apps that this node deployed."""
        return [
            (driver, AppKey(known.user_id, app_id, driver.name(known.user_id, app_id)))
            for app_id, known in self.ledger.apps.items()
            for kind in known.rotations
            if (driver := self.drivers.get(kind))
        ]

    async def close(self) -> None:
        for driver in self.drivers.values():
            await driver.close()


def in_words(kind: Kind, e: DatabaseError) -> FunaiError:
    if isinstance(e, DatabaseMissing):
        return NotFound(Reason.DATABASE_NOT_FOUND, kind=kind)
    if isinstance(e, DatabaseAway):
        return Unavailable(Reason.DATABASE_AWAY, title=TITLES[kind], detail=str(e))
    return CalleeFailed(Reason.DATABASE_REFUSED, title=TITLES[kind], detail=str(e))


def _own_wins(kind: Kind, own: Sequence[str]) -> str:
    names, title = ", ".join(own), TITLES[kind]
    zh = (
        f"应用自己设置了 {names}，平台的 {title} 地址没有写入这些变量；要用平台的数据库，请执行 funai env unset {' '.join(own)}"
    )
    return f"{zh} / the app sets {names} itself, so they don't hold the platform's {title}: to use that, unset them"


def _away(kind: Kind, e: BaseException) -> str:
    title, why = TITLES[kind], (str(e) or "no answer in time")[:160]
    zh = f"平台的 {title} 暂时不可用（{why}）：部署已继续，数据库恢复后应用即可连接"
    return f"{zh} / the platform's {title} does not answer now ({why}): the deploy went on; the app reaches it once it is back"


def _full(kinds: Sequence[Kind]) -> str:
    titles = ", ".join(TITLES[k] for k in kinds)
    zh = f"应用的 {titles} 数据库已超过配额，目前只能读取和删除数据"
    return f"{zh} / the app's {titles} database is over its quota: it may read and delete, not write"
