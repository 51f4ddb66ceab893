"""Accounts: who exists, how they prove it, and what an operator may do about them."""

from __future__ import annotations

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.accounts.callers import Caller
from funai.api.accounts.passwords import Passwords, check_password
from funai.api.accounts.throttle import Throttle
from funai.api.accounts.tokens import TokenClaims, Tokens, hash_api_key, new_api_key
from funai.api.models import Row, first, lock_user, now_ms
from funai.api.tables import users
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts import rules
from funai.contracts.accounts import User
from funai.contracts.errors import Conflict, Forbidden, NotFound, Unauthenticated
from funai.contracts.reasons import Reason
from funai.contracts.wire import from_epoch_ms


class Accounts:
    def __init__(
        self,
        db: Database,
        passwords: Passwords,
        tokens: Tokens,
        clock: Clock,
        *,
        logins_per_minute: int,
        registrations_per_hour: int,
    ) -> None:
        self.db, self.passwords, self.tokens, self.clock = db, passwords, tokens, clock
        self._by_name = Throttle(logins_per_minute, 60)
        self._by_address = Throttle(logins_per_minute * 20, 60)
        self._registrations = Throttle(registrations_per_hour, 3600)

    async def register(self, address: str, user_name: str, password: str) -> User:
        """Raises BadInput, Conflict USER_NAME_TAKEN, TooMany."""
        rules.check_user_name(user_name)
        check_password(password)
        self._registrations.take(address, self.clock.monotonic())
        return await self.add(user_name, password, admin=False)

    async def add(self, user_name: str, password: str, *, admin: bool) -> User:
        """Make an account. Raises Conflict USER_NAME_TAKEN."""
        digest = await self.passwords.hash(password)
        at = now_ms(self.clock)
        row: dict[str, object] = {
            "user_name": user_name,
            "name_key": user_name.lower(),
            "password_hash": digest,
            "admin": int(admin),
            "create_time": at,
            "update_time": at,
        }
        try:
            async with self.db.write() as conn:
                made = (await conn.execute(insert(users).values(row))).inserted_primary_key
        except IntegrityError as e:
            raise Conflict(Reason.USER_NAME_TAKEN) from e
        assert made is not None
        return user_of({**row, "id": int(made[0])})

    async def login(self, address: str, user_name: str, password: str) -> tuple[User, str]:
        """The user and a token. An unknown name and a wrong password are distinguished by neither answer nor time."""
        tried, now = (address, user_name.lower()), self.clock.monotonic()
        self._by_address.take(address, now)
        self._by_name.take(tried, now)
        row = await self.db.fetch_one(select(users).where(users.c.name_key == _searchable(user_name)))
        if not await self.passwords.verify(str(row["password_hash"]) if row else None, password) or row is None:
            raise Unauthenticated(Reason.BAD_CREDENTIALS)
        if row["disabled"]:
            raise Forbidden(Reason.USER_DISABLED)
        self._by_name.forget(tried)
        if self.passwords.outdated(str(row["password_hash"])):
            await self._set(int(row["id"]), password_hash=await self.passwords.hash(password))
        return user_of(row), self._token(int(row["id"]), int(row["token_version"]))

    async def by_token(self, token: str) -> Caller:
        """Raises Unauthenticated."""
        claims = self.tokens.read(token, self.clock.now())
        row = await self.db.fetch_one(select(users).where(users.c.id == claims.user_id))
        if row is None or row["disabled"] or int(row["token_version"]) != claims.version:
            raise Unauthenticated()
        return caller_of(row)

    async def by_api_key(self, api_key: str) -> Caller:
        """Raises Unauthenticated."""
        row = await self.db.fetch_one(select(users).where(users.c.api_key_hash == hash_api_key(api_key)))
        if row is None or row["disabled"]:
            raise Unauthenticated()
        return caller_of(row)

    async def get(self, user_id: int) -> User:
        """Raises NotFound USER_NOT_FOUND."""
        row = await self.db.fetch_one(select(users).where(users.c.id == user_id))
        if row is None:
            raise NotFound(Reason.USER_NOT_FOUND)
        return user_of(row)

    async def renew_api_key(self, user_id: int) -> str:
        """A new API key, which replaces any earlier one and is kept only as a hash."""
        api_key = new_api_key()
        await self._set(user_id, api_key_hash=hash_api_key(api_key))
        return api_key

    async def change_password(self, user_id: int, old: str, new: str) -> str:
        """Ends every earlier login and the API key, and answers a token that goes on.

        Raises Unauthenticated BAD_CREDENTIALS, BadInput.
        """
        check_password(new)
        self._by_name.take(("change", user_id), self.clock.monotonic())
        row = await self.db.fetch_one(select(users).where(users.c.id == user_id))
        if row is None or not await self.passwords.verify(str(row["password_hash"]), old):
            raise Unauthenticated(Reason.BAD_CREDENTIALS)
        return await self._replace_password(user_id, new, api_key_hash=None)

    async def set_password(self, user_id: int, new: str) -> None:
        """An operator's reset; ends every earlier login and the API key. Raises NotFound, BadInput."""
        await self.get(user_id)
        await self._replace_password(user_id, check_password(new), api_key_hash=None)

    async def page(self, after: int, limit: int) -> list[User]:
        """Accounts by id, for an operator."""
        rows = await self.db.fetch_all(select(users).where(users.c.id > after).order_by(users.c.id).limit(limit))
        return [user_of(r) for r in rows]

    async def set_disabled(self, user_id: int, disabled: bool) -> User:
        """Raises NotFound, Conflict LAST_ADMIN."""
        async with self.db.write() as conn:
            # Locked in one order, so that two admins who disable each other can't both succeed.
            others = select(users.c.id).where(users.c.admin == 1, users.c.disabled == 0).order_by(users.c.id).with_for_update()
            admins = [int(r) for r in (await conn.execute(others)).scalars()]
            if disabled and admins == [user_id]:
                raise Conflict(Reason.LAST_ADMIN)
            changed = update(users).where(users.c.id == user_id).values(disabled=int(disabled), update_time=now_ms(self.clock))
            if not (await conn.execute(changed)).rowcount and await lock_user(conn, user_id) is None:
                raise NotFound(Reason.USER_NOT_FOUND)
            row = await first(conn, select(users).where(users.c.id == user_id))
        assert row is not None
        return user_of(row)

    async def ensure_admin(self, user_name: str, password: str) -> User:
        """The named admin: made when the name is free, else left as it is."""
        row = await self.db.fetch_one(select(users).where(users.c.name_key == user_name.lower()))
        if row is not None:
            return user_of(row)
        try:
            return await self.add(rules.check_user_name(user_name), check_password(password), admin=True)
        except Conflict:  # another process was first
            return await self.ensure_admin(user_name, password)

    async def count(self) -> int:
        async with self.db.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(users))).scalar_one())

    async def _replace_password(self, user_id: int, new: str, **values: object) -> str:
        digest = await self.passwords.hash(new)
        async with self.db.write() as conn:
            await conn.execute(
                update(users)
                .where(users.c.id == user_id)
                .values(password_hash=digest, token_version=users.c.token_version + 1, update_time=now_ms(self.clock), **values)
            )
            row = await first(conn, select(users.c.token_version).where(users.c.id == user_id))
        if row is None:
            raise NotFound(Reason.USER_NOT_FOUND)
        return self._token(user_id, int(row["token_version"]))

    async def _set(self, user_id: int, **values: object) -> None:
        async with self.db.write() as conn:
            await conn.execute(update(users).where(users.c.id == user_id).values(update_time=now_ms(self.clock), **values))

    def _token(self, user_id: int, version: int) -> str:
        return self.tokens.issue(TokenClaims(user_id, version), self.clock.now())


def _searchable(user_name: str) -> str:
    """A name that can be asked of any database: one that could never have been registered finds no user."""
    return user_name.lower() if user_name.isascii() and user_name.isprintable() else ""


async def link_git_account(conn: AsyncConnection, user_id: int, name: str | None, at: int) -> None:
    """Raises IntegrityError where the name is another user's."""
    await conn.execute(update(users).where(users.c.id == user_id).values(git_account=name, update_time=at))


def user_of(row: Row) -> User:
    return User(
        id=int(row["id"]),
        user_name=str(row["user_name"]),
        admin=bool(row["admin"]),
        disabled=bool(row.get("disabled")),
        created_at=from_epoch_ms(int(row["create_time"])),
        **({"git_account": str(row["git_account"])} if row.get("git_account") else {}),
    )


def caller_of(row: Row) -> Caller:
    return Caller(id=int(row["id"]), user_name=str(row["user_name"]), admin=bool(row["admin"]))
