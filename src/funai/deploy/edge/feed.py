"""The routes as the edge follows them: snapshots, and what changed after a revision, held open until something does."""

from __future__ import annotations

import asyncio
import time

from funai.base.aio import wait_any
from funai.base.db.engine import Database
from funai.contracts.apps.edge import MAX_ENTRIES, EdgeNode, RouteChanges
from funai.contracts.errors import BadInput, NotFound, Unavailable
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID
from funai.deploy.edge import changes, state
from funai.deploy.edge.changes import Marks, Subject

LOOK_SECONDS = 0.03
"""How soon another instance's changes are seen while an edge waits; this one's wake the readers."""


class RouteFeed:
    """Readers share one look at the database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._news, self._closed = asyncio.Event(), asyncio.Event()
        self._look = asyncio.Lock()
        self._marks: Marks | None = None
        self._looked_at = float("-inf")
        self._stale = True
        db.listen(changes.TOPIC, self.wake)

    def wake(self) -> None:
        """Something was committed that an edge should know."""
        self._stale = True
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """Releases all readers; later ones return immediately."""
        self._closed.set()

    async def after(self, since: int, wait_seconds: float, *, page: str = "", limit: int = MAX_ENTRIES) -> RouteChanges:
        """What changed after revision ``since``, waiting up to ``wait_seconds`` for it.

        A snapshot at once for 0, for a revision that is too old or not of this database, and for a ``page`` of one. Raises
        BadInput for a page that no snapshot has.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            news = self._news
            marks = await self._newest()
            if since > marks.newest:
                self._stale = True  # another instance may have given that revision just now
                marks = await self._newest()
            if page or not marks.oldest <= since <= marks.newest:
                return await self._snapshot(marks.newest, page, limit)
            if since < marks.newest:
                return await self._delta(since, marks, limit)
            left = deadline - time.monotonic()
            if left <= 0 or self._closed.is_set():
                return RouteChanges(revision=since)
            await wait_any(news, self._closed, timeout=min(left, LOOK_SECONDS))

    async def node_of(self, app_id: int) -> EdgeNode:
        """The node that serves the app. Raises NotFound APP_NOT_FOUND, Unavailable NODE_NO_ADDRESS."""
        async with self._db.read() as conn:
            (route,) = await state.routes(conn, [app_id])
            found = await state.nodes(conn, [route.node_id]) if route.node_id is not None else []
        if not found:
            raise NotFound(Reason.APP_NOT_FOUND)
        if found[0].url is None:
            raise Unavailable(Reason.NODE_NO_ADDRESS, node=found[0].name or found[0].id)
        return found[0]

    async def prune(self) -> None:
        await self._db.retrying(changes.prune)

    async def _newest(self) -> Marks:
        """The marks as of a look that is at most ``LOOK_SECONDS`` old; those without a number have one then."""
        async with self._look:
            fresh = time.monotonic() - self._looked_at < LOOK_SECONDS
            if self._marks is not None and fresh and not self._stale:
                return self._marks
            self._stale = False
            try:
                marks = await self._read()
                while marks is None or marks.waiting:
                    before = marks
                    await self._db.retrying(changes.number)
                    marks = await self._read()
                    if marks is not None and before is not None and marks.newest == before.newest:
                        break  # another transaction holds what is left: the next look has it
            except BaseException:
                self._stale = True
                raise
            assert marks is not None
            self._marks, self._looked_at = marks, time.monotonic()
            return marks

    async def _read(self) -> Marks | None:
        async with self._db.read() as conn:
            return await changes.marks(conn)

    async def _delta(self, since: int, marks: Marks, limit: int) -> RouteChanges:
        async with self._db.read() as conn:
            found = await changes.after(conn, since, limit)
            keys = {subject: [key for s, key, _ in found if s is subject] for subject in Subject}
            return RouteChanges(
                revision=found[-1][2] if len(found) == limit else max(marks.newest, *(r for *_, r in found), since),
                nodes=await state.nodes(conn, [int(key) for key in keys[Subject.NODE]]),
                routes=await state.routes(conn, [int(key) for key in keys[Subject.APP]]),
                names=await state.names(conn, keys[Subject.NAME]),
            )

    async def _snapshot(self, revision: int, page: str, limit: int) -> RouteChanges:
        """A page starts at ``subject:key``, and goes on with the next subject while there is room."""
        answer = RouteChanges(revision=revision, full=True)
        subject, after = _start(page)
        async with self._db.read() as conn:
            for current in list(Subject)[list(Subject).index(subject) :]:
                room = limit - len(answer.nodes) - len(answer.routes) - len(answer.names)
                key = after if current is subject else ""
                if room <= 0:
                    answer.next_page = f"{current}:{key}"
                    return answer
                match current:
                    case Subject.NODE:
                        answer.nodes = await state.nodes_after(conn, key, room)
                        count, last = len(answer.nodes), str(answer.nodes[-1].id) if answer.nodes else ""
                    case Subject.APP:
                        answer.routes = await state.routes_after(conn, key, room)
                        count, last = len(answer.routes), str(answer.routes[-1].app_id) if answer.routes else ""
                    case Subject.NAME:
                        answer.names = await state.names_after(conn, key, room)
                        count, last = len(answer.names), answer.names[-1].name if answer.names else ""
                if count == room:
                    answer.next_page = f"{current}:{last}"
                    return answer
        return answer


def _start(page: str) -> tuple[Subject, str]:
    """Raises BadInput."""
    word, _, key = page.partition(":")
    if not page:
        return Subject.NODE, ""
    try:
        subject = Subject(word)
    except ValueError:
        raise BadInput(Reason.BAD_INPUT, detail="page") from None
    if subject is not Subject.NAME and key and not (key.isascii() and key.isdecimal() and int(key) <= MAX_ID):
        raise BadInput(Reason.BAD_INPUT, detail="page")
    return subject, key
