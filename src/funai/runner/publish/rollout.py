"""The agent's part of a job: hand it the image, and make sure that the public path serves it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from funai.base.clients.agent import AgentClient
from funai.base.clients.transport import Unreachable
from funai.contracts.agent import AgentDeploy, AgentDeployed
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.reasons import FailureCode, Reason
from funai.i18n.joblog import both
from funai.runner.compat.agents import IN_PROGRESS_BEFORE, verify
from funai.runner.failures import JobFailed, agent_failure, from_agent
from funai.runner.settings import RunnerSettings

BUSY_PAUSE = 1.0
"""Seconds between tries while the agent still rolls out an earlier job of the app."""


class Rollout:
    """Deploys through the agents; keeps one connection pool per agent."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._agents: dict[str, AgentClient] = {}

    def _agent(self, base_url: str) -> AgentClient:
        if base_url not in self._agents:
            self._agents[base_url] = AgentClient(base_url, self._settings.agent_token.get_secret_value())
        return self._agents[base_url]

    async def close(self) -> None:
        for agent in self._agents.values():
            await agent.close()

    async def deploy(self, node: RuntimeNodeRef, wish: AgentDeploy, say: Callable[[str], None]) -> AgentDeployed:
        """Roll out and answer when the new generation serves. Raises JobFailed."""
        end = time.monotonic() + self._settings.deploy_seconds
        deployed = await self._roll_out(self._agent(node.agent_base_url), wish, end, say)
        if deployed.verified is None:
            end = min(end, time.monotonic() + self._settings.health_seconds)
            await verify(self._agent(node.agent_base_url), node, wish, end, say)
        return deployed

    async def _roll_out(self, agent: AgentClient, wish: AgentDeploy, end: float, say: Callable[[str], None]) -> AgentDeployed:
        away_until = time.monotonic() + self._settings.retry_seconds
        while True:
            now = time.monotonic()
            try:
                return await agent.deploy(wish, timeout=max(1.0, end - now))
            except Unreachable as e:
                if now > min(away_until, end):
                    raise JobFailed(FailureCode.AGENT_UNREACHABLE, detail=str(e)) from e
            except FunaiError as e:
                if registry_away(e) and now <= min(away_until, end):
                    say(both("node_without_registry"))
                elif e.code == 409 and passes(e) and now <= end:
                    say(both("earlier_rollout"))
                else:
                    raise from_agent(e) from e
            await asyncio.sleep(BUSY_PAUSE)


def registry_away(error: FunaiError) -> bool:
    """Whether the agent could not pull for the registry's sake: nothing was begun, and it may be back in a moment."""
    failure = agent_failure(error)
    return failure is not None and failure.code == FailureCode.REGISTRY_UNREACHABLE


def passes(error: FunaiError) -> bool:
    """A 409 that passes: the app's earlier roll-out is still going on.

    One that was ended by a stop or delete must not be tried again, or the stopped app would come up.
    """
    failure = agent_failure(error)
    return (failure.code if failure else error.reason) in (Reason.DEPLOY_IN_PROGRESS, IN_PROGRESS_BEFORE)
