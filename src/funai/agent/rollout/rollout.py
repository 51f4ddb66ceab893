"""A deploy, as the public experiences it: nothing happens until the new generation is healthy, then everything at once.

``pull → start beside the old → healthy → switch the route → verify at the public entry → commit → drain and retire``

Until the commit every failure, and every cancel, ends the same way: the new instance is removed, the route is what it
was, the old instance was never touched. The commit can't be interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from funai.agent.databases.service import Databases
from funai.agent.images.kept import KeptImages
from funai.agent.images.pull import Found, Images, digest_of
from funai.agent.node import Node, to_the_end
from funai.agent.reconcile.journal import Journal, Wanted
from funai.agent.rollout import visit
from funai.agent.rollout.admission import admit, same_release
from funai.agent.rollout.diagnosis import Diagnosis, Variant, first_variant, notes
from funai.agent.rollout.drain import Drainer
from funai.agent.rollout.failures import RolloutFailed, of_workload
from funai.agent.rollout.progress import NotUp, Stopwatch
from funai.agent.rollout.proof import Proof
from funai.agent.workload.contract import AppView, Generation, Image, Instance, WorkloadError, base_path
from funai.agent.workload.patience import patiently
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.agent import AgentDeploy, AgentDeployed
from funai.contracts.errors import BadInput, NotFound
from funai.contracts.reasons import Reason
from funai.contracts.routes import GatewayError, Route, RouteState


class Rollouts:
    def __init__(
        self,
        node: Node,
        images: Images,
        drainer: Drainer,
        *,
        databases: Databases,
        journal: Journal | None = None,
        any_base_path: bool = False,
    ) -> None:
        self.kept: KeptImages | None = None
        """Called after every finished rollout."""
        self._journal, self._databases = journal or Journal(None), databases
        self._node, self._images, self._drainer = node, images, drainer
        self._any_base_path = any_base_path
        self._diagnosis, self._proof = Diagnosis(node), Proof(node)

    async def deploy(self, wanted: AgentDeploy) -> AgentDeployed:
        """Roll out. Raises RolloutFailed, Conflict (``DEPLOY_IN_PROGRESS``, ``STALE_GENERATION``), BadInput."""
        app_id, watch = int(wanted.app_id), Stopwatch()
        with self._node.metrics.rollout(watch.marks):
            self._check_base_path(wanted)
            async with self._node.busy.rollout(app_id, wanted.generation):
                with log.bound(app_id=app_id, job_id=wanted.job_id), self._images.holding(wanted.image):
                    try:
                        return await self._roll_out(app_id, wanted, watch, fence=self._journal.fence(app_id))
                    except WorkloadError as e:
                        raise of_workload(e, self._limits_in_words()) from e

    async def restore(self, app_id: int) -> bool:
        """Make the release in the journal again, unless the app runs or is wanted otherwise by now. Raises as ``deploy``."""
        with self._node.metrics.rollout({}):
            async with self._node.busy.rollout(app_id):
                if app_id not in self._journal.serving() or await self._runs(app_id):
                    return True
                await self.from_journal(app_id)
        return True

    async def _runs(self, app_id: int) -> bool:
        live = (await self._node.look(app_id)).live
        return live is not None and live.running

    async def from_journal(self, app_id: int) -> AgentDeployed:
        """For who holds the app. Raises NotFound ``RELEASE_NOT_KEPT``, RolloutFailed."""
        wanted = self._journal.release(app_id)
        if wanted is None:
            raise NotFound(Reason.RELEASE_NOT_KEPT)
        with log.bound(app_id=app_id), self._images.holding(wanted.image):
            try:
                return await self._roll_out(app_id, wanted, Stopwatch(), fence=0)
            except WorkloadError as e:
                raise of_workload(e, self._limits_in_words()) from e

    async def _roll_out(self, app_id: int, wanted: AgentDeploy, watch: Stopwatch, *, fence: int) -> AgentDeployed:
        patience = self._node.settings.engine_patience_seconds
        looking = patiently(lambda: self._images.local(wanted.image, wanted.image_id), patience)
        before, local = await asyncio.gather(self._node.look(app_id, patience=patience), looking)
        if again := same_release(before, wanted):
            return self.answer(wanted, again, watch)
        generation = admit(before, wanted.generation, fence)
        image = await patiently(lambda: self._images.fetch(wanted.image, local), patience)
        watch.mark("pull")
        await self._announce(before)
        given = await self._databases.given(wanted)
        try:
            new, variant = await self._come_up(before, given.added_to(wanted), generation, image, watch)
            await self._journal.promise(app_id, wanted.model_copy(update={"generation": generation}))
            await to_the_end(self._commit(before, new))
        except BaseException as e:
            if isinstance(e, RolloutFailed):
                e.log_tail = given.masked(e.log_tail)
            await to_the_end(self._undo(before, wanted, generation))
            raise
        watch.mark("commit")
        await self._journal.settle(app_id, generation, Wanted.SERVING)
        self._images.name_later(wanted.image, image)
        for old in (before.live, before.stopped):
            if old:
                self._drainer.retire(old)
        if self.kept:
            self.kept.deployed(naming.repo_name(int(wanted.user_id), app_id))
        log.get("rollout").info("rollout.done", generation=generation, **watch.marks)
        return self.answer(wanted, new, watch, [*notes(wanted, variant), *given.notes, *await visit.told(self._node, wanted)])

    async def _come_up(
        self, before: AppView, wanted: AgentDeploy, generation: int, image: Found, watch: Stopwatch
    ) -> tuple[Instance, Variant]:
        """A container that the public path answers from, and how it was made. Raises RolloutFailed; undoes nothing.

        A container that shows how it should have been made is replaced by one made so, once for each variant.
        """
        variant = first_variant(before, wanted, image.image)
        tried = {variant}
        while True:
            new = await self._start(before, wanted, generation, image, variant)
            watch.mark("start")
            try:
                await self._proof.reach(new, variant.of(wanted), watch)
            except NotUp as e:
                better = await self._diagnosis.another(new, variant, e.probed)
                if better is None or better in tried:
                    raise await self._diagnosis.failure(new, variant.of(wanted), image.image, e.probed) from None
                log.get("rollout").info("rollout.another_variant", port=better.port, init=better.init)
                tried.add(better)
                variant = better
                await self._node.workloads.remove(new)
            else:
                return new, variant

    async def bring_up(self, new: Instance, wanted: AgentDeploy, watch: Stopwatch) -> None:
        """A started container until the public path answers from it. Raises RolloutFailed; undoes nothing."""
        try:
            await self._proof.reach(new, wanted, watch)
        except NotUp as e:
            known = await self._images.local(wanted.image)
            raise await self._diagnosis.failure(new, wanted, known.image if known else Image(""), e.probed) from None

    # -- steps ------------------------------------------------------------------------------------------------------

    async def _announce(self, before: AppView) -> None:
        """A first generation, or one over a stopped app: the gateway says "starting" meanwhile. Failing to is no failure."""
        if before.live is None:
            try:
                await self._node.tell(Route(before.app_id, RouteState.STARTING))
            except GatewayError as e:
                log.get("rollout").info("rollout.not_announced", why=str(e))

    async def _start(self, before: AppView, wanted: AgentDeploy, generation: int, image: Found, variant: Variant) -> Instance:
        digest = digest_of(wanted.image, image.image)
        release = Generation(wanted, generation, image.name, digest, variant.port, variant.init)
        return await self._node.workloads.apply(before, release)

    def _limits_in_words(self) -> str:
        """For an engine that refuses one: which were asked for, and by which settings."""
        s = self._node.settings
        return f"RUNTIME_APP_CPUS={s.app_cpus:g} RUNTIME_APP_MEMORY={s.app_memory} RUNTIME_APP_PIDS_LIMIT={s.app_pids_limit}"

    async def _commit(self, before: AppView, new: Instance) -> None:
        """From here on the new generation is the app, whatever happens. Safe to repeat, and to be cut anywhere."""
        patience = self._node.settings.engine_patience_seconds
        await patiently(lambda: self._node.workloads.commit(new, before.live), patience)

    async def _undo(self, before: AppView, wanted: AgentDeploy, generation: int) -> None:
        """The route is what it was, then the new one goes. What can't be done now, the sweep does."""
        try:
            route = self._node.desired_route(before)
            if route:
                await self._proof.put(route)
            else:
                await self._node.invalidate(before.app_id)
            now = await self._node.look(before.app_id, patience=self._node.settings.engine_patience_seconds)
            for candidate in now.candidates:
                if now.live or not now.retired:
                    await self._node.workloads.remove(candidate)
            if not before.all:
                await self._node.workloads.forget(before.app_id)
        except (WorkloadError, GatewayError) as e:
            log.get("rollout").warning("rollout.undo_later", generation=generation, image=wanted.image, why=str(e))

    # -- answers ----------------------------------------------------------------------------------------------------

    def answer(self, wanted: AgentDeploy, instance: Instance, watch: Stopwatch, told: Sequence[str] = ()) -> AgentDeployed:
        app_id = int(wanted.app_id)
        return AgentDeployed(
            app_id=wanted.app_id,
            container_name=self._node.workloads.name(int(wanted.user_id), app_id),
            preview_url=naming.deploy_url(self._node.settings.node_gateway_base_url, base_path(wanted)),
            generation=instance.generation,
            digest=instance.digest,
            timings_ms=watch.marks,
            verified=True,
            port=instance.port or None,
            notes=list(told),
        )

    def _check_base_path(self, wanted: AgentDeploy) -> None:
        expected = naming.base_path(int(wanted.app_id))
        if wanted.base_path and wanted.base_path != expected and not self._any_base_path:
            raise BadInput(Reason.BASE_PATH_UNSUPPORTED, expected=expected, given=wanted.base_path)
