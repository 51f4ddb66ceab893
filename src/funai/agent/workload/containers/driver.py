"""Instances as containers of one engine: a commit is two renames, and each app has a network of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from funai.agent.compat import agents
from funai.agent.engine import ending
from funai.agent.engine.contract import (
    Container,
    Engine,
    EngineError,
    EngineUnreachable,
    ImageUnusable,
    NameTaken,
    NoSuchContainer,
    NoSuchImage,
)
from funai.agent.network.hostfiles import HostFiles
from funai.agent.network.networks import Networks, Place, bridge_of
from funai.agent.settings import RuntimeSettings
from funai.agent.workload.containers import labels
from funai.agent.workload.containers.labels import Names
from funai.agent.workload.containers.signposts import Signposts
from funai.agent.workload.containers.spec import ProxyLabels, Specs
from funai.agent.workload.contract import AppView, FileHead, Generation, Instance, view, views
from funai.agent.workload.patience import patiently
from funai.base.observability import log
from funai.contracts.routes import Signs

PLACES = 3
"""So many addresses an engine may refuse before that is the rollout's end."""


class Containers:
    """Follows ``workload.contract``. ``published``: containers answer at ports of this host's loopback."""

    def __init__(
        self,
        settings: RuntimeSettings,
        engine: Engine,
        networks: Networks,
        files: HostFiles,
        proxy_labels: ProxyLabels,
        signs: Signs | None = None,
        *,
        published: bool,
    ) -> None:
        self.leads = Signposts(engine, settings.files_folder, settings.instance, signs, settings.docker_network)
        self._engine, self._networks, self._files, self._published = engine, networks, files, published
        self._instance, self._patience = settings.instance, settings.engine_patience_seconds
        self._specs = Specs(settings, proxy_labels, published=published)

    def name(self, user_id: int, app_id: int) -> str:
        return Names(user_id, app_id, self._instance).live

    async def look(self, app_id: int) -> AppView:
        found = {labels.INSTANCE: self._instance, labels.APP_ID: str(app_id)}
        return view(app_id, await self._found(found, agents.pattern(app_id)))

    async def everything(self) -> dict[int, AppView]:
        return views(await self._found({labels.INSTANCE: self._instance}, agents.pattern()))

    async def _found(self, wanted: dict[str, str], names: str) -> list[Instance]:
        """Ours by label and, for the platform with the contract's plain names, an older agent's by name."""
        ours = self._engine.containers(wanted)
        if self._instance:
            found = await ours
        else:
            found, others = await asyncio.gather(ours, self._engine.unlabelled(names, labels.INSTANCE))
            found = found + [taken for other in others if (taken := agents.adopted(other))]
        # One without an app is not ours.
        return [read for container in found if (read := self._read(container)).app_id]

    def _read(self, container: Container) -> Instance:
        return labels.instance(container, published=self._published)

    async def again(self, instance: Instance) -> Instance:
        now = await self._engine.inspect(instance.key)
        return self._read(now if labels.INSTANCE in now.labels else agents.adopted(now) or now)

    async def apply(self, before: AppView, wanted: Generation) -> Instance:
        if self.leads.active and before.live and before.live.running:
            await self.leads.lead_to(before.live)  # the new one gets no request before it is ready
        beside = await patiently(lambda: self._beside(before, wanted), self._patience)

        async def attempt() -> str:
            return await self._start_somewhere(before, wanted, beside)

        await self._remove_all(before)
        try:
            id = await patiently(attempt, self._patience)
        except NameTaken:
            # A removal that was still under way, or a former life's: look again, clean, once more.
            await self._remove_all(await self.look(before.app_id))
            id = await patiently(attempt, self._patience)
        return self._read(await patiently(lambda: self._engine.inspect(id), self._patience))

    async def _beside(self, before: AppView, wanted: Generation) -> Container | None:
        """The container that serves meanwhile, where the new one's labels depend on it."""
        if before.live is None or not self._specs.shares_labels(wanted):
            return None
        try:
            return await self._engine.inspect(before.live.key)
        except NoSuchContainer:
            return None

    async def _remove_all(self, app: AppView) -> None:
        for leftover in app.candidates:
            await self.remove(leftover)

    async def _start_somewhere(self, before: AppView, wanted: Generation, beside: Container | None) -> str:
        """A started container's id. Raises EngineError.

        An engine that refuses is asked once more, and again with another address: the app's network may have been removed by
        hand, and an engine that was killed at the wrong moment counts an address as taken for good.
        """
        name = Names(int(wanted.asked.user_id), before.app_id, self._instance).candidate(wanted.number)
        for left in reversed(range(PLACES)):
            place, id = await self._networks.place(before), ""
            try:
                files = await asyncio.to_thread(self._files.of, before.app_id, place)
                id = await self._engine.create(self._specs.of(wanted, name, place, files, beside))
                await self._engine.start(id)
            except EngineError as e:
                self._networks.doubt(before.app_id)
                if not left or isinstance(e, EngineUnreachable | NameTaken | NoSuchImage | ImageUnusable):
                    raise
                log.get("rollout").info("rollout.placed_anew", address=place.address, why=str(e)[:200])
                if id:
                    await self._engine.remove(id)
            else:
                return id
        raise AssertionError

    async def next_end(self, instance: Instance) -> int:
        return await self._engine.next_exit(instance.key)

    async def commit(self, new: Instance, over: Instance | None = None) -> None:
        names = self._names(new)
        if over:
            try:
                await self._engine.rename(over.key, names.retired(over.generation))
            except NoSuchContainer:
                log.get("rollout").info("rollout.old_was_gone", container=over.name)
        await self._engine.rename(new.key, names.live)

    def _names(self, instance: Instance) -> Names:
        return Names(instance.user_id, instance.app_id, self._instance)

    async def set_aside(self, instance: Instance) -> None:
        await self._engine.rename(instance.key, self._names(instance).stopped)

    async def start(self, instance: Instance) -> None:
        """Its files are there again, whatever became of them."""
        if address := instance.address:
            await asyncio.to_thread(self._files.of, instance.app_id, Place("", address, bridge_of(address)))
        await self._engine.start(instance.key)

    async def stop(self, instance: Instance, grace: float) -> None:
        """What runs behind a package manager or shell is asked first."""
        began = time.monotonic()
        if instance.running:
            await ending.ask_to_end(instance.pid, grace)
        await self._engine.stop(instance.key, max(0.0, grace - (time.monotonic() - began)))

    async def remove(self, instance: Instance) -> None:
        await self.leads.take_down(instance.app_id, instance.key)
        await self._engine.remove(instance.key)

    async def forget(self, app_id: int) -> None:
        await self._networks.forget(app_id)
        await asyncio.to_thread(self._files.forget, app_id)

    async def read_file(self, instance: Instance, path: str) -> FileHead | None:
        return await self._engine.read_file(instance.key, path)

    def logs(self, instance: Instance, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        return self._engine.logs(instance.key, tail=tail, follow=follow)
