"""Apps' databases: handed on to the agent of the app's node, or to any that speaks for an app that was never placed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.base.clients.agent import AgentClient
from funai.base.http.app import language
from funai.contracts.apps.databases import DatabaseCall, DatabaseOp, FindOrphans, MongoCall, MongoVerb, Orphans
from funai.contracts.errors import Conflict, FunaiError
from funai.contracts.reasons import Reason
from funai.contracts.states import NodeHealth
from funai.deploy.apps.agents import Agents
from funai.deploy.compat.agents import may_lack_the_call, too_old
from funai.deploy.placement import policy, store
from funai.deploy.placement.policy import Node

T = TypeVar("T")


class AppDatabases:
    def __init__(self, agents: Agents) -> None:
        self.agents = agents

    async def call(self, op: DatabaseOp, call: DatabaseCall) -> dict[str, object]:
        """Raises CalleeFailed(AGENT_UNREACHABLE, AGENT_TOO_OLD), Conflict(NO_RUNTIME_NODE), or what the agent refused."""
        spoken = language()
        return await self._at(int(call.app_id), lambda agent: agent.database(op, call, spoken))

    async def mongo(self, verb: MongoVerb, call: MongoCall) -> dict[str, object]:
        spoken = language()
        return await self._at(call.app_id, lambda agent: agent.mongo(verb, call, spoken))

    async def orphans(self, asked: FindOrphans) -> list[Orphans]:
        """Every speaking node's word; one that fails says so and stops no other."""
        return [await self._orphans_on(node, asked) for node in await self._speaking()]

    async def _orphans_on(self, node: Node, asked: FindOrphans) -> Orphans:
        try:
            found = await self.agents.call(node, lambda agent: agent.orphans(asked))
        except FunaiError as e:
            return Orphans(node=node.name, failed=[str(e)])
        return found.model_copy(update={"node": node.name})

    async def _at(self, app_id: int, work: Callable[[AgentClient], Awaitable[T]]) -> T:
        node = (await self.agents.find(app_id)).home or next(iter(await self._speaking()), None)
        if node is None:
            raise Conflict(Reason.NO_RUNTIME_NODE)
        with may_lack_the_call(too_old(node.name)):
            return await self.agents.call(node, work, busy_seconds=0)

    async def _speaking(self) -> list[Node]:
        async with self.agents.db.read() as conn:
            now_ms, nodes = await self.agents.db.clock(conn), await store.nodes(conn)
        rules = self.agents.rules
        alive = (n for n in nodes if n.enabled and n.agent_base_url and policy.health(n, now_ms, rules) is not NodeHealth.STALE)
        return sorted(alive, key=lambda n: n.id)
