"""SSH keys: which user a key belongs to. A key belongs to one person on the whole platform."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from funai.api.accounts.publickeys import PublicKey, parse_public_key
from funai.api.models import Row, lock_user, now_ms
from funai.api.tables import ssh_keys, users
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.accounts import SshKey
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.reasons import Reason
from funai.contracts.wire import from_epoch_ms


class Keys:
    def __init__(self, db: Database, clock: Clock, *, limit: int, reserved: PublicKey | None) -> None:
        """``reserved`` is the runner's own key, which no user may register."""
        self.db, self.clock, self.limit, self.reserved = db, clock, limit, reserved

    async def list(self, user_id: int) -> list[SshKey]:
        rows = await self.db.fetch_all(select(ssh_keys).where(ssh_keys.c.user_id == user_id).order_by(ssh_keys.c.id))
        return [_wire(r) for r in rows]

    async def add(self, user_id: int, title: str, text: str) -> SshKey:
        """Raises BadInput KEY_INVALID, Conflict KEY_TAKEN or KEY_LIMIT."""
        key = parse_public_key(text)
        if self.reserved and key.fingerprint == self.reserved.fingerprint:
            raise Conflict(Reason.KEY_TAKEN)
        row = {
            "user_id": user_id,
            "title": _title(title or key.comment),
            "fingerprint": key.fingerprint,
            "public_key": key.text,
            "create_time": now_ms(self.clock),
        }
        try:
            async with self.db.write() as conn:
                if await lock_user(conn, user_id) is None:
                    raise NotFound(Reason.USER_NOT_FOUND)
                counted = select(func.count()).select_from(ssh_keys).where(ssh_keys.c.user_id == user_id)
                if int((await conn.execute(counted)).scalar_one()) >= self.limit:
                    raise Conflict(Reason.KEY_LIMIT, limit=self.limit)
                made = (await conn.execute(insert(ssh_keys).values(row))).inserted_primary_key
        except IntegrityError as e:
            raise Conflict(Reason.KEY_TAKEN) from e
        assert made is not None
        return _wire({**row, "id": int(made[0])})

    async def remove(self, user_id: int, key_id: int) -> None:
        """Raises NotFound, also for another's key."""
        async with self.db.write() as conn:
            gone = await conn.execute(delete(ssh_keys).where(ssh_keys.c.id == key_id, ssh_keys.c.user_id == user_id))
        if not gone.rowcount:
            raise NotFound(Reason.KEY_NOT_FOUND)

    async def owner(self, key: PublicKey) -> int | None:
        """The enabled user who holds the key."""
        found = (
            select(ssh_keys.c.user_id)
            .join(users, users.c.id == ssh_keys.c.user_id)
            .where(ssh_keys.c.fingerprint == key.fingerprint, users.c.disabled == 0)
        )
        row = await self.db.fetch_one(found)
        return int(row["user_id"]) if row else None


def _title(text: str) -> str:
    shown = "".join(c for c in text if c.isprintable()).strip()
    return shown[:100] or "key"


def _wire(row: Row) -> SshKey:
    return SshKey(
        id=int(row["id"]),
        title=str(row["title"]),
        fingerprint=str(row["fingerprint"]),
        created_at=from_epoch_ms(int(row["create_time"])),
    )
