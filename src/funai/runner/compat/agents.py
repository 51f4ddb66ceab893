"""Agents that answer a rollout before the app is known to serve, and refuse without a reason.

It can go when every node's agent answers ``verified``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from funai.base.clients.agent import AgentClient
from funai.base.clients.transport import UNREASONED
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.naming import deploy_url
from funai.contracts.reasons import FailureCode
from funai.i18n.joblog import both
from funai.runner.failures import JobFailed

IN_PROGRESS_BEFORE = UNREASONED
"""The reason of their 409: the app's earlier rollout is still going on."""
LOOK_PAUSE = 0.25
LOOK_SECONDS = 5.0


async def verify(agent: AgentClient, node: RuntimeNodeRef, wish: AgentDeploy, end: float, say: Callable[[str], None]) -> None:
    """Asks the app's public path until it answers well, or until ``end`` (monotonic seconds). Raises JobFailed."""
    path = wish.health.path if wish.health else "/"
    url = deploy_url(node.gateway_base_url, wish.base_path).rstrip("/") + path
    last = "no answer"
    async with httpx.AsyncClient(timeout=LOOK_SECONDS, trust_env=False) as http:
        while time.monotonic() < end:
            try:
                status = (await http.get(url)).status_code
            except httpx.HTTPError as e:
                last = str(e) or type(e).__name__
            else:
                if status < 400 or status in (401, 403, 405):
                    return
                last = f"HTTP {status}"
            await asyncio.sleep(LOOK_PAUSE)
    await _gateway_out_of_sight(agent, wish, url, last, say)


async def _gateway_out_of_sight(agent: AgentClient, wish: AgentDeploy, url: str, last: str, say: Callable[[str], None]) -> None:
    """The public path never answered well: an app that at least runs, behind a gateway this runner can't see, passes."""
    try:
        status = await agent.status(int(wish.user_id), int(wish.app_id))
    except FunaiError as e:
        raise JobFailed(FailureCode.AGENT_UNREACHABLE, detail=str(e)) from e
    if not status.running:
        raise JobFailed(FailureCode.APP_EXITED, [f"{url}: {last}"])
    if last.startswith("HTTP"):
        raise JobFailed(FailureCode.APP_UNHEALTHY, [f"{url}: {last}"])
    say(both("unreachable_from_runner", url=url, last=last))
