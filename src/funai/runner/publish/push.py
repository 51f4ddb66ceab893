"""Push: the image goes up under its commit, then one more tag points at it; what is deployed is the digest."""

from __future__ import annotations

import asyncio
from pathlib import Path

from funai.base.clients.registry.contract import RegistryFailed, Why
from funai.base.clients.registry.distribution import Manifest
from funai.base.clients.registry.http import over_quota
from funai.base.process import proc
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef
from funai.runner.commands.engine import Engine
from funai.runner.failures import JobFailed, last_lines
from funai.runner.publish.registry import Registry, failure
from funai.runner.retry import retrying
from funai.runner.sandbox.workshop import Workshop
from funai.runner.settings import RunnerSettings


class Pusher:
    def __init__(self, settings: RunnerSettings, engine: Engine, registry: Registry, workshop: Workshop | None = None) -> None:
        self._settings, self._engine, self._registry, self._workshop = settings, engine, registry, workshop

    async def push(self, image: ImageRef, target: ImageRef, job_dir: Path) -> Manifest:
        """Push the local ``image`` as ``target`` and answer what the registry holds now.

        Tried again while the registry is away.
        A registry makes a tag visible only when all of its image is there, so a push that is cut short leaves no tag.
        """
        return await retrying(
            lambda: self._once(image, target, job_dir),
            seconds=self._settings.retry_seconds,
            when=lambda e: e.again and e.code is FailureCode.REGISTRY_UNREACHABLE,
        )

    async def _pushed(self, image: ImageRef, target: ImageRef, job_dir: Path, digestfile: Path) -> proc.Finished:
        if self._workshop:
            return await self._workshop.push(image, target, job_dir, self._settings.push_seconds)
        if self._engine.docker:
            await proc.run(self._engine.tag(str(image), str(target)), timeout=60)
        return await proc.run(
            self._engine.push(str(image), str(target), digestfile, job_dir), timeout=self._settings.push_seconds
        )

    async def _once(self, image: ImageRef, target: ImageRef, job_dir: Path) -> Manifest:
        digestfile = job_dir / "digest"
        try:
            done = await self._pushed(image, target, job_dir, digestfile)
        except proc.ProcessTimeout as e:
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, [str(e)], registry=image.registry) from e
        if done.code != 0:
            # A look at the registry tells its login and a full disk apart from its absence; when it answers and takes what
            # it is sent, the push itself is at fault.
            await self._registry.digest(target)
            await self._registry.takes(target)
            if over_quota(done.error_text):  # it counts a layer when it ends, so a little is taken all the same
                error = RegistryFailed("\n".join(last_lines(done.error_text)), Why.QUOTA)
                raise failure(target.registry, error)
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, last_lines(done.error_text), registry=target.registry)
        digest = (await asyncio.to_thread(digestfile.read_text)).strip() if digestfile.exists() else None
        manifest = await self._registry.manifest(ImageRef(target.registry, target.path, target.tag, digest))
        if manifest is None:
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, registry=target.registry)
        return manifest
