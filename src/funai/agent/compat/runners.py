"""Deploys for Runners of the field, which wait 30 seconds for the answer and name no generation.

Their answer comes in time while the rollout goes on; asked again for the same, it is waited for further. It can go when no
older Runner is left.
"""

from __future__ import annotations

import asyncio

from funai.agent.node import Node
from funai.agent.rollout.rollout import Rollouts
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.agent import AgentDeploy, AgentDeployed
from funai.contracts.errors import Conflict, FunaiError, Unavailable
from funai.contracts.reasons import Reason
from funai.i18n.joblog import both

STILL_STARTING = both("still_starting")


class OlderRunners:
    """Keeps the rollouts that outlive their callers. :meth:`close` ends them."""

    def __init__(self, node: Node, rollouts: Rollouts) -> None:
        self._node, self._rollouts = node, rollouts
        self._under_way: dict[int, tuple[AgentDeploy, asyncio.Task[AgentDeployed]]] = {}

    async def deploy(self, wanted: AgentDeploy) -> AgentDeployed:
        """Roll out; the answer comes within ``older_runner_seconds``. Raises what ``Rollouts.deploy`` raises.

        Unavailable ``ROLLOUT_GOES_ON`` when the image is still on its way by then.
        """
        task = self._task(wanted)
        await asyncio.wait({task}, timeout=self._node.settings.older_runner_seconds)
        if task.cancelled():
            raise Conflict(Reason.ROLLOUT_INTERRUPTED)
        if task.done():
            return await task
        app = await self._node.look(int(wanted.app_id))
        if not any(c.running for c in app.candidates):
            raise Unavailable(Reason.ROLLOUT_GOES_ON)
        return AgentDeployed(
            app_id=wanted.app_id,
            container_name=self._node.workloads.name(int(wanted.user_id), app.app_id),
            preview_url=naming.deploy_url(self._node.settings.node_gateway_base_url, naming.base_path(app.app_id)),
            notes=[STILL_STARTING],
        )

    def _task(self, wanted: AgentDeploy) -> asyncio.Task[AgentDeployed]:
        """The rollout of this very wish that is under way, or a new one."""
        app_id = int(wanted.app_id)
        known = self._under_way.get(app_id)
        if known and known[0] == wanted:
            return known[1]
        task = asyncio.create_task(self._rollouts.deploy(wanted), name=f"older-runner:{app_id}")
        if known is None:
            self._under_way[app_id] = (wanted, task)
        task.add_done_callback(lambda done: self._ended(app_id, done))
        return task

    def _ended(self, app_id: int, task: asyncio.Task[AgentDeployed]) -> None:
        if (known := self._under_way.get(app_id)) and known[1] is task:
            del self._under_way[app_id]
        if not task.cancelled() and isinstance(error := task.exception(), FunaiError):
            log.get("rollout").info("older_runner.rollout_failed", app_id=app_id, why=str(error))

    async def close(self) -> None:
        tasks = [task for _, task in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
