"""Runners' and nodes' own credentials: made and revoked one by one, and kept as hashes."""

from __future__ import annotations

import hashlib
import secrets
import time

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.nodes import Credential, CredentialKind, NewCredential
from funai.contracts.reasons import Reason
from funai.contracts.wire import from_epoch_ms
from funai.deploy.tables import credential

FRESH_SECONDS = 2.0
"""So long another instance's revocation may take to be known here."""
MOST = 10_000
PREFIX = "fdc_"


class Credentials:
    """All hashes are held in memory and read again every ``FRESH_SECONDS``: each call of a runner or node asks."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._names: dict[tuple[CredentialKind, str], str] = {}
        self._read_at = float("-inf")

    async def owner(self, kind: CredentialKind, token: str) -> str | None:
        """The name that a credential of that kind was made for; None for a revoked or unknown one."""
        if not token.startswith(PREFIX):
            return None
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            await self._read()
        return self._names.get((kind, hashed(token)))

    async def list(self) -> list[Credential]:
        rows = await self.db.fetch_all(select(credential).order_by(credential.c.id))
        return [Credential(id=r["id"], kind=r["kind"], name=r["name"], created_at=from_epoch_ms(r["created_ms"])) for r in rows]

    async def create(self, asked: NewCredential) -> Credential:
        """Make one; a runner or node may have two while it changes over. Raises Conflict CREDENTIAL_LIMIT."""
        async with self.db.write() as conn:
            made = await add(conn, asked, await self.db.clock(conn))
        self.changed()
        log.get("access").info("credential.created", kind=asked.kind.value, name=asked.name)
        return made

    async def revoke(self, credential_id: int) -> None:
        """From now on it opens nothing. Raises NotFound CREDENTIAL_NOT_FOUND."""
        async with self.db.write() as conn:
            gone = await conn.execute(delete(credential).where(credential.c.id == credential_id))
        if not gone.rowcount:
            raise NotFound(Reason.CREDENTIAL_NOT_FOUND)
        self.changed()
        log.get("access").info("credential.revoked", id=credential_id)

    def changed(self) -> None:
        """They were written by a transaction of the caller's: the next question reads them again."""
        self._read_at = float("-inf")

    async def _read(self) -> None:
        rows = await self.db.fetch_all(select(credential.c.kind, credential.c.token_hash, credential.c.name))
        self._names = {(CredentialKind(r["kind"]), r["token_hash"]): r["name"] for r in rows}
        self._read_at = time.monotonic()


async def add(conn: AsyncConnection, asked: NewCredential, at: int) -> Credential:
    """Make one in the caller's transaction, its token in the answer alone. Raises Conflict CREDENTIAL_LIMIT."""
    token = PREFIX + secrets.token_urlsafe(32)
    if len((await conn.execute(select(credential.c.id).limit(MOST))).all()) >= MOST:
        raise Conflict(Reason.CREDENTIAL_LIMIT, limit=MOST)
    row = {"kind": asked.kind.value, "name": asked.name, "token_hash": hashed(token), "created_ms": at}
    made = (await conn.execute(insert(credential).values(row))).inserted_primary_key
    assert made is not None
    return Credential(id=int(made[0]), kind=asked.kind, name=asked.name, created_at=from_epoch_ms(at), token=token)


async def forget(conn: AsyncConnection, kind: CredentialKind, name: str) -> int:
    """Revoke all that were made for that name, in the caller's transaction; answers how many."""
    mine = (credential.c.kind == kind.value) & (credential.c.name == name)
    return (await conn.execute(delete(credential).where(mine))).rowcount


def hashed(token: str) -> str:
    """What is kept of a token: it has 256 bits of chance, so that no slow hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
