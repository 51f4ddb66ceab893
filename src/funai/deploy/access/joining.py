"""A machine becomes a node: a token that works once is traded for a node's row and a credential of its own."""

from __future__ import annotations

import secrets

from pydantic import SecretStr
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import Conflict, Forbidden, NotFound, Unauthenticated
from funai.contracts.nodes import (
    CredentialKind,
    JoinNode,
    JoinToken,
    LeaveNode,
    NewCredential,
    NewJoinToken,
    NodeJoined,
    NodeRemoved,
    NodeStanding,
    UpsertNode,
)
from funai.contracts.reasons import Reason
from funai.contracts.wire import from_epoch_ms
from funai.deploy.access.credentials import Credentials, add, forget, hashed
from funai.deploy.placement import policy, store
from funai.deploy.placement.operator import Nodes
from funai.deploy.tables import join_token

PREFIX = "fdj_"
MOST = 1_000
KEPT_MS = 7 * 86_400_000
"""For so long a used or expired token differs in its refusal from one that never was."""


class Joining:
    """Join tokens, and what a node asks about itself. ``agent_token`` is handed to nodes that join."""

    def __init__(self, db: Database, nodes: Nodes, credentials: Credentials, agent_token: SecretStr | None) -> None:
        self.db, self.nodes, self.credentials, self._agent_token = db, nodes, credentials, agent_token

    async def create(self, asked: NewJoinToken) -> JoinToken:
        """Make a token; old ones that are of no use any more go. Raises Conflict JOIN_TOKEN_LIMIT."""
        token = PREFIX + secrets.token_urlsafe(32)
        async with self.db.write() as conn:
            at = await self.db.clock(conn)
            await conn.execute(delete(join_token).where(join_token.c.expires_ms < at - KEPT_MS))
            if len((await conn.execute(select(join_token.c.id).limit(MOST))).all()) >= MOST:
                raise Conflict(Reason.JOIN_TOKEN_LIMIT, limit=MOST)
            expires_ms = at + asked.ttl_seconds * 1000
            row = {"token_hash": hashed(token), "name": asked.name, "created_ms": at, "expires_ms": expires_ms}
            await conn.execute(insert(join_token).values(row))
        log.get("access").info("join_token.created", name=asked.name, seconds=asked.ttl_seconds)
        return JoinToken(token=token, name=asked.name, expires_at=from_epoch_ms(expires_ms))

    async def join(self, asked: JoinNode) -> NodeJoined:
        """Use up the token; the node's earlier credentials end. A refusal leaves the token as it was.

        Raises Unauthenticated (JOIN_TOKEN_UNKNOWN, JOIN_TOKEN_EXPIRED), Conflict (JOIN_TOKEN_USED, NODE_NAME_TAKEN),
        Forbidden (JOIN_TOKEN_OF_ANOTHER).
        """
        known = select(join_token.c.id).where(join_token.c.token_hash == hashed(asked.token))
        if not asked.token.startswith(PREFIX) or await self.db.fetch_one(known) is None:
            raise Unauthenticated(Reason.JOIN_TOKEN_UNKNOWN)  # who has no token causes no write

        async def work(conn: AsyncConnection) -> NodeJoined:
            at = await self.db.clock(conn)
            bound = await self._take(conn, asked, at)
            new = await store.register(conn, asked.name, at)
            if not new and not bound:
                raise Conflict(Reason.NODE_NAME_TAKEN, name=asked.name)
            node = await store.by_name(conn, asked.name)
            assert node is not None
            urls = UpsertNode(name=asked.name, agent_base_url=asked.agent_base_url, gateway_base_url=asked.gateway_base_url)
            await store.amend(conn, node.id, urls, at)
            await forget(conn, CredentialKind.NODE, asked.name)
            made = await add(conn, NewCredential(kind=CredentialKind.NODE, name=asked.name), at)
            assert made.token is not None
            own = self._agent_token.get_secret_value() if self._agent_token else None
            return NodeJoined(node_id=node.id, name=node.name, credential=made.token, agent_token=own)

        joined = await self.db.retrying(work)
        self.credentials.changed()
        log.get("access").info("node.joined", node=joined.name)
        return joined

    async def _take(self, conn: AsyncConnection, asked: JoinNode, at: int) -> bool:
        """Mark the token as used; answers whether it was made for this node by name. Raises as :meth:`join`."""
        known = join_token.c.token_hash == hashed(asked.token)
        mine = or_(join_token.c.name.is_(None), join_token.c.name == asked.name)
        good = (known, mine, join_token.c.used_ms.is_(None), join_token.c.expires_ms > at)
        taken = await conn.execute(update(join_token).where(*good).values(used_ms=at, used_by=asked.name))
        row = (await conn.execute(select(join_token).where(known))).first()
        if row is None:
            raise Unauthenticated(Reason.JOIN_TOKEN_UNKNOWN)
        if taken.rowcount == 1:
            return row.name is not None
        if row.used_ms is not None:
            raise Conflict(Reason.JOIN_TOKEN_USED, name=row.used_by)
        if row.expires_ms <= at:
            raise Unauthenticated(Reason.JOIN_TOKEN_EXPIRED)
        raise Forbidden(Reason.JOIN_TOKEN_OF_ANOTHER, owner=row.name, name=asked.name)

    async def standing(self, name: str) -> NodeStanding:
        """The node as Deploy sees it. Raises NotFound NODE_NOT_FOUND."""
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            found = next((n for n in await store.nodes(conn) if n.name == name), None)
            apps = await store.count_lodgers(conn)
        if found is None:
            raise NotFound(Reason.NODE_NOT_FOUND)
        return NodeStanding(
            node_id=found.id,
            name=found.name,
            health=policy.health(found, now_ms, self.nodes.rules),
            last_heartbeat_at_ms=found.heartbeat_ms,
            now_ms=now_ms,
            placements=apps.get(found.id, 0),
        )

    async def leave(self, asked: LeaveNode) -> NodeRemoved:
        """Forget the node. Raises NotFound NODE_NOT_FOUND, Conflict NODE_HAS_APPS."""
        removed = await self.nodes.remove(asked.node_name, force=True, empty=not asked.with_apps)
        self.credentials.changed()
        return removed
