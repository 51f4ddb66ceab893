"""The agent's part of a job: hand it the image, and make sure that the public path serves it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from funai.base.clients.agent import AgentClient
from funai.base.clients.transport import UNREASONED, Unreachable
from funai.contracts.agent import AgentDeploy, AgentDeployed
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.naming import deploy_url
from funai.contracts.states import FailureCode
from funai.i18n.joblog import both
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
            await self._verify(node, wish, end, say)
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

    async def _verify(self, node: RuntimeNodeRef, wish: AgentDeploy, end: float, say: Callable[[str], None]) -> None:
        """An older agent answers before anybody knows whether the app serves: ask its public path."""
        path = wish.health.path if wish.health else "/"
        url = deploy_url(node.gateway_base_url, wish.base_path).rstrip("/") + path
        end = min(end, time.monotonic() + self._settings.health_seconds)
        last = "no answer"
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            while time.monotonic() < end:
                try:
                    status = (await http.get(url)).status_code
                except httpx.HTTPError as e:
                    last = str(e) or type(e).__name__
                else:
                    if status < 400 or status in (401, 403, 405):
                        return
                    last = f"HTTP {status}"
                await asyncio.sleep(0.25)
        await self._gateway_out_of_sight(node, wish, url, last, say)

    async def _gateway_out_of_sight(
        self, node: RuntimeNodeRef, wish: AgentDeploy, url: str, last: str, say: Callable[[str], None]
    ) -> None:
        """The public path never answered well: an app that at least runs, behind a gateway this runner can't see, passes."""
        try:
            status = await self._agent(node.agent_base_url).status(int(wish.user_id), int(wish.app_id))
        except FunaiError as e:
            raise JobFailed(FailureCode.AGENT_UNREACHABLE, detail=str(e)) from e
        if not status.running:
            raise JobFailed(FailureCode.APP_EXITED, [f"{url}: {last}"])
        if last.startswith("HTTP"):
            raise JobFailed(FailureCode.APP_UNHEALTHY, [f"{url}: {last}"])
        say(both("unreachable_from_runner", url=url, last=last))


def registry_away(error: FunaiError) -> bool:
    """Whether the agent could not pull for the registry's sake: nothing was begun, and it may be back in a moment."""
    failure = agent_failure(error)
    return failure is not None and failure.code == FailureCode.REGISTRY_UNREACHABLE


def passes(error: FunaiError) -> bool:
    """A 409 that passes: the app's earlier roll-out is still going on.

    One that was ended by a stop or delete must not be tried again, or the stopped app would come up. An older agent's 409
    has no reason, and means just this.
    """
    failure = agent_failure(error)
    return (failure.code if failure else error.reason) in ("DEPLOY_IN_PROGRESS", UNREASONED)
