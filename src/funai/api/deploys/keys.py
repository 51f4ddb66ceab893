"""Records of Idempotency-Keys, written in the transaction of the operation that they belong to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Delete, Update, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.models import first
from funai.api.tables import idempotency


@dataclass(frozen=True, slots=True)
class Remember:
    """An Idempotency-Key to keep with the operation."""

    key_hash: str
    request_hash: str


class Repeated(Exception):
    """The Idempotency-Key is known already: look its answer up."""


async def keep(conn: AsyncConnection, user_id: int, op_key: str, remember: Remember, at: int) -> None:
    """Raises Repeated."""
    known = select(idempotency.c.op_key).where(idempotency.c.user_id == user_id, idempotency.c.key_hash == remember.key_hash)
    if await first(conn, known) is not None:
        raise Repeated
    row = {
        "user_id": user_id,
        "key_hash": remember.key_hash,
        "request_hash": remember.request_hash,
        "op_key": op_key,
        "create_time": at,
    }
    await conn.execute(insert(idempotency).values(row))


def answered(op_key: str, answer: str) -> Update:
    return update(idempotency).where(idempotency.c.op_key == op_key).values(answer=answer)


def unanswered(op_key: str) -> Delete:
    """Frees the operation's Idempotency-Key."""
    return delete(idempotency).where(idempotency.c.op_key == op_key, idempotency.c.answer.is_(None))
