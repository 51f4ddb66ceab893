"""The agents of the nodes where an app is or may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from funai.base.clients.agent import AgentClient
from funai.base.clients.transport import AgentRefused, Unreachable
from funai.base.db.engine import Database
from funai.base.retry import retrying
from funai.contracts.errors import CalleeFailed
from funai.contracts.reasons import Reason
from funai.contracts.states import NodeHealth
from funai.deploy.placement import policy, stale, store
from funai.deploy.placement.policy import Node, Rules

T = TypeVar("T")

BUSY_SECONDS = 20.0
"""How long a call waits for an agent that is in the middle of a rollout of the same app."""
BUSY_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class AppLocation:
    """``home``: the node the app belongs to, None when it was never placed. ``left``: others that may still have it."""

    home: Node | None
    left: list[Node]
    silent: bool = False
    """The home node sends no heartbeats."""
    left_speaking: list[Node] = field(default_factory=list[Node])
    """Those of ``left`` that do send heartbeats."""

    @property
    def all(self) -> list[Node]:
        return [*([self.home] if self.home else []), *self.left]


class Agents:
    """Finds an app's nodes and talks to their agents. ``http`` lets tests plug in a transport."""

    def __init__(
        self,
        db: Database,
        rules: Rules,
        token: str,
        *,
        timeout: float = 10,
        http: Callable[[], httpx.AsyncBaseTransport] | None = None,
    ) -> None:
        self.db, self.rules, self.token, self.timeout, self.http = db, rules, token, timeout, http
        self.closing = asyncio.Event()
        """Set when the service stops: streams of logs end."""

    async def find(self, app_id: int) -> AppLocation:
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            rows = await store.placements(conn, None, 0, 1, app_id=app_id)
            home_id = rows[0]["node_id"] if rows else None
            others = [n for n in await stale.nodes_of(conn, app_id) if n != home_id]
            home = await store.node(conn, home_id) if home_id is not None else None
            left = [n for o in others if (n := await store.node(conn, o)) is not None]
        silent = home is not None and policy.health(home, now_ms, self.rules) is NodeHealth.STALE
        speaking = [n for n in left if policy.health(n, now_ms, self.rules) is not NodeHealth.STALE]
        return AppLocation(home, left, silent, speaking)

    @asynccontextmanager
    async def client(self, node: Node) -> AsyncIterator[AgentClient]:
        """Raises CalleeFailed(AGENT_UNREACHABLE) for a node without an address."""
        if not node.agent_base_url:
            raise AgentGone(node, "no address")
        transport = self.http() if self.http else None
        client = AgentClient(node.agent_base_url, self.token, timeout=self.timeout, http=transport)
        try:
            yield client
        finally:
            await client.close()

    async def call(
        self,
        node: Node,
        work: Callable[[AgentClient], Awaitable[T]],
        *,
        busy_seconds: float = BUSY_SECONDS,
        silent: bool = False,
    ) -> T:
        """One call to the node's agent; waits while it answers 409 because the app is just being rolled out there.

        ``silent``: little is hoped for, so it is given up after ``timeout``. Raises AgentGone when there was no answer,
        AgentRefused.
        """
        async with self.client(node) as client:

            async def attempt() -> T:
                try:
                    async with asyncio.timeout(self.timeout if silent else None):
                        return await work(client)
                except TimeoutError as e:
                    raise AgentGone(node, "no answer in time") from e
                except Unreachable as e:
                    raise AgentGone(node, str(e.params.get("detail", ""))) from e

            return await retrying(
                attempt, on=AgentRefused, when=_rolling_out, seconds=busy_seconds, first=BUSY_EVERY, longest=BUSY_EVERY
            )


def _rolling_out(e: AgentRefused) -> bool:
    return e.code == 409 and e.reason != Reason.STALE_GENERATION


class AgentGone(CalleeFailed):
    """No answer from a node's agent; it may have acted all the same."""

    def __init__(self, node: Node, detail: str) -> None:
        super().__init__(Reason.AGENT_UNREACHABLE, detail=f"{node.name}: {detail}")
