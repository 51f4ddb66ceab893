"""From a started container to one that the public path answers from: its health, the switch, the look through the door."""

from __future__ import annotations

import asyncio
import time

from funai.agent.node import Node
from funai.agent.reconcile import state
from funai.agent.rollout import health
from funai.agent.rollout.diagnosis import own_health_path
from funai.agent.rollout.failures import RolloutFailed
from funai.agent.rollout.health import Probed, Verdict
from funai.agent.rollout.progress import NotUp, Stopwatch
from funai.agent.workload.contract import Endpoint, Instance, Phase, health_path
from funai.agent.workload.patience import patiently
from funai.base.retry import retrying
from funai.contracts.agent import AgentDeploy
from funai.contracts.reasons import FailureCode
from funai.contracts.routes import GatewayError, Route

VERIFY_EVERY = 0.05
ADDRESS_SECONDS = 5


class Proof:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def reach(self, new: Instance, wanted: AgentDeploy, watch: Stopwatch) -> None:
        """Raises NotUp, RolloutFailed."""
        end = await self._until_healthy(new, wanted)
        watch.mark("healthy")
        await self._switch(new, end)
        await self._verify(new, wanted)
        watch.mark("switch")

    async def _until_healthy(self, new: Instance, wanted: AgentDeploy) -> Endpoint:
        settings = self._node.settings
        timeout = wanted.health.timeout_seconds if wanted.health else settings.health_timeout_seconds
        exited = asyncio.ensure_future(self._end_of(new))
        try:
            end = await self._endpoint_of(new, exited)
            if end is None:
                raise NotUp(Probed(Verdict.EXITED, exit_code=await exited))
            probed = await health.until_healthy(
                end.host,
                end.port,
                own_health_path(wanted),
                timeout=timeout,
                interval=settings.health_interval_seconds,
                exited=exited,
                misplaced_seconds=settings.misplaced_seconds,
                misplaced=lambda: health.misplaced(health.listeners(health.socket_tables(new.pid)), wanted.container_port),
            )
        finally:
            exited.cancel()
            await asyncio.gather(exited, return_exceptions=True)
        if probed.verdict is not Verdict.HEALTHY:
            raise NotUp(probed)
        return end

    async def _end_of(self, new: Instance) -> int:
        return await patiently(lambda: self._node.workloads.next_end(new), self._node.settings.engine_patience_seconds)

    async def _endpoint_of(self, new: Instance, exited: asyncio.Future[int]) -> Endpoint | None:
        """Its address, as soon as one is shown; None when it ended before."""
        deadline = time.monotonic() + ADDRESS_SECONDS
        while not (end := new.endpoint):
            if new.phase is Phase.EXITED or new.restarts or exited.done():
                return None
            if time.monotonic() > deadline:
                raise RolloutFailed(FailureCode.ENGINE_FAILED, detail="the container got no address")
            await asyncio.wait({exited}, timeout=0.05)
            new = await self._node.workloads.again(new)
        return end

    async def _switch(self, new: Instance, end: Endpoint) -> None:
        await self._lead(new)
        try:
            await self.put(state.route_to(new, end))
        except GatewayError as e:
            raise RolloutFailed(FailureCode.GATEWAY_FAILED, detail=str(e), log_tail=[]) from e

    async def _lead(self, new: Instance) -> None:
        """Where the proxy reads containers, it sends new requests to this one from here on, and none to the one before."""
        leads = self._node.workloads.leads
        if leads.active:
            app = await self._node.look(new.app_id, patience=self._node.settings.engine_patience_seconds)
            if any(other.up for other in app.all if other.key != new.key):
                await leads.lead_to(new)

    async def put(self, route: Route) -> None:
        """Put, and again while the proxy restarts."""
        seconds = self._node.settings.verify_seconds
        await retrying(
            lambda: self._node.tell(route), on=GatewayError, seconds=seconds, first=VERIFY_EVERY, longest=VERIFY_EVERY
        )

    async def _verify(self, new: Instance, wanted: AgentDeploy) -> None:
        """Success is what the public sees: the gateway's own door answers from this generation."""
        deadline = time.monotonic() + self._node.settings.verify_seconds
        generation, seen = new.generation, "no answer"
        while True:
            try:
                # As long as the probe of its health waited: a slow page is no gateway that did not switch.
                status, answered = await self._node.routes.serving_generation(
                    int(wanted.app_id), health_path(wanted), timeout=health.ASK_SECONDS
                )
                if answered == generation and status < 500:
                    return
                seen = f"HTTP {status} from generation {answered}, not {generation}"
            except GatewayError as e:
                seen = str(e)
            if time.monotonic() > deadline:
                raise RolloutFailed(FailureCode.GATEWAY_FAILED, detail=seen, log_tail=await self._node.tail(new))
            await asyncio.sleep(VERIFY_EVERY)
