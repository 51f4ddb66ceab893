"""Which apps, nodes and names changed, numbered by revisions. Every function runs in the caller's transaction.

A writer only marks what it changes, in its own transaction (:func:`touch`), and takes no lock that another app's writer
needs. A reader numbers the marks that were committed (:func:`number`), one reader at a time. So a revision is never seen
before a smaller one, whichever of several Deploy instances wrote, and no commit can fall between two revisions that were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, exists, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import announce
from funai.base.db.inserts import upsert
from funai.base.db.rows import first_row
from funai.deploy.tables import route_change, route_revision

TOPIC = "routes"
"""What a commit with marks is announced as (``Database.listen``)."""
FIRST = 1
"""The revision of a database in which nothing changed yet; 0 is no revision."""
KEPT = 20_000
"""Revisions that are kept; who is further behind gets a snapshot."""
MOST = 2_000
"""Marks that are numbered in one transaction."""
_ROW = 1


class Subject(StrEnum):
    NODE = "node"
    """Its gateway's address; the key is the node's id."""
    APP = "app"
    """The node that serves it; the key is the app's id."""
    NAME = "name"
    """Whose it is; the key is the name."""


@dataclass(frozen=True, slots=True)
class Marks:
    """``newest``: the last revision given. ``oldest``: the revision whose changes are all kept. ``waiting``: there are marks
    without a number."""

    newest: int
    oldest: int
    waiting: bool


async def touch(conn: AsyncConnection, subject: Subject, *keys: int | str) -> None:
    """Mark what this transaction changes of the routes."""
    if not keys:
        return
    rows = [{"p_subject": subject.value, "p_name": str(key)} for key in sorted(set(keys))]
    await conn.execute(_touching(conn.dialect.name), rows)
    announce(conn, TOPIC)


@cache
def _touching(dialect: str) -> Any:
    values: dict[str, Any] = {"subject": bindparam("p_subject"), "name": bindparam("p_name"), "revision": null()}
    return upsert(dialect, route_change, values, {"revision": null()})


_MARKS = select(
    route_revision.c.revision, route_revision.c.oldest, exists().where(route_change.c.revision.is_(None)).label("waiting")
).where(route_revision.c.id == _ROW)


async def marks(conn: AsyncConnection) -> Marks | None:
    """None: nothing was numbered in this database yet."""
    row = await first_row(conn, _MARKS)
    return Marks(row["revision"], row["oldest"], bool(row["waiting"])) if row else None


_LOCKED = select(route_revision.c.revision).where(route_revision.c.id == _ROW).with_for_update()
_WAITING = (
    select(route_change.c.subject, route_change.c.name)
    .where(route_change.c.revision.is_(None))
    .order_by(route_change.c.subject, route_change.c.name)
    .limit(MOST)
    # One that another transaction is marking again just now waits for the next look.
    .with_for_update(skip_locked=True)
)
_GIVE = (
    update(route_change)
    .where(route_change.c.subject == bindparam("p_subject"), route_change.c.name == bindparam("p_name"))
    .values(revision=bindparam("p_revision"))
)


async def number(conn: AsyncConnection) -> None:
    """Give every mark that is there a revision of its own. Other readers wait until the transaction has ended."""
    newest = (await conn.execute(_LOCKED)).scalar()
    if newest is None:
        new = {"id": _ROW, "revision": FIRST, "oldest": FIRST}
        await conn.execute(upsert(conn.dialect.name, route_revision, new, {"id": _ROW}))
        newest = int((await conn.execute(_LOCKED)).scalar_one())
    found = (await conn.execute(_WAITING)).all()
    if not found:
        return
    given = [{"p_subject": row[0], "p_name": row[1], "p_revision": newest + n} for n, row in enumerate(found, start=1)]
    await conn.execute(_GIVE, given)
    await conn.execute(update(route_revision).where(route_revision.c.id == _ROW).values(revision=newest + len(found)))


async def prune(conn: AsyncConnection) -> None:
    """Drop all but the last ``KEPT`` revisions."""
    newest = (await conn.execute(_LOCKED)).scalar()
    if newest is None or newest - KEPT <= FIRST:
        return
    oldest = newest - KEPT
    gone = await conn.execute(delete(route_change).where(route_change.c.revision <= oldest))
    if gone.rowcount:
        await conn.execute(update(route_revision).where(route_revision.c.id == _ROW).values(oldest=oldest))


_AFTER = (
    select(route_change.c.subject, route_change.c.name, route_change.c.revision)
    .where(route_change.c.revision > bindparam("p_since"))
    .order_by(route_change.c.revision)
    .limit(bindparam("p_limit"))
)


async def after(conn: AsyncConnection, since: int, limit: int) -> list[tuple[Subject, str, int]]:
    """(subject, key, revision) of what changed after ``since``, in the order of the revisions."""
    rows = (await conn.execute(_AFTER, {"p_since": since, "p_limit": limit})).all()
    return [(Subject(row[0]), str(row[1]), int(row[2])) for row in rows]
