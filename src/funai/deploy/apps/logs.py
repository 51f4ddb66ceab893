"""A container's output, passed through from the node's agent as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import httpx

from funai.base.aio import until
from funai.base.clients.transport import error_of
from funai.base.http.streaming import HeldStream
from funai.contracts.errors import Conflict, FunaiError
from funai.contracts.reasons import Reason
from funai.deploy.apps.agents import AgentGone, Agents
from funai.deploy.compat.agents import may_lack_the_call, too_old
from funai.deploy.placement.policy import Node

TEXT = "text/plain; charset=utf-8"
FOLLOW_SILENCE_SECONDS = 3600.0
"""A followed log may say nothing for so long before the stream is given up."""


async def container_logs(agents: Agents, user_id: int, app_id: int, *, tail: int, follow: bool) -> HeldStream:
    """The last ``tail`` lines, and with ``follow`` what comes after, from the node where the app runs.

    Raises Conflict(APP_NEVER_DEPLOYED), CalleeFailed(AGENT_UNREACHABLE), or what the agent refused.
    """
    at = await agents.find(app_id)
    if not at.all:
        raise Conflict(Reason.APP_NEVER_DEPLOYED)
    node = at.all[0]
    for other in at.left_speaking:  # moved, but not deployed there yet: it still runs where it was
        with suppress(FunaiError):  # a node that doesn't answer hides no other's log
            status = await agents.call(other, lambda agent: agent.status(user_id, app_id))
            node = other if status.running else node
    async with AsyncExitStack() as opening:
        response = await _open(opening, agents, node, {"userId": user_id, "appId": app_id, "tail": tail, "follow": follow})
        body = _bytes(response, agents.closing)
        return HeldStream(body, opening.pop_all(), media_type=TEXT, headers={"Cache-Control": "no-store"})


async def _open(held: AsyncExitStack, agents: Agents, node: Node, params: dict[str, int | bool]) -> httpx.Response:
    client = await held.enter_async_context(agents.client(node))
    raw = client.transport.raw
    patience = FOLLOW_SILENCE_SECONDS if params["follow"] else agents.timeout
    limits = httpx.Timeout(agents.timeout, connect=min(3.0, agents.timeout), read=patience)
    query = {k: str(v).lower() for k, v in params.items()}
    request = raw.build_request("GET", "/agent/apps/logs", params=query, timeout=limits)
    try:
        response = await raw.send(request, stream=True)
        held.push_async_callback(response.aclose)
        if response.status_code >= 400:
            await response.aread()
            with may_lack_the_call(too_old(node.name)):
                raise error_of("runtime-agent", response)
    except httpx.HTTPError as e:
        raise AgentGone(node, str(e) or type(e).__name__) from e
    return response


async def _bytes(response: httpx.Response, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """The body, until ``closing``; when the agent breaks off in the middle the stream just ends."""
    with suppress(httpx.HTTPError):
        async for chunk in until(closing, response.aiter_bytes()):
            yield chunk
