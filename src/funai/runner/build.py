"""One image build: its own process group and control group, watched for time, output, disk and memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from funai.base import proc
from funai.contracts.buildspec import base_images
from funai.contracts.rules import parse_image
from funai.contracts.states import FailureCode
from funai.runner.cgroup import BuildGroup, Usage
from funai.runner.commands.engine import BuildRequest, Engine
from funai.runner.diskwatch import DiskWatch, working_containers
from funai.runner.failures import JobFailed, last_lines
from funai.runner.registry import Registry
from funai.runner.settings import RunnerSettings

TAIL_BYTES = 64 * 1024


@dataclass(slots=True)
class Output:
    """What the build printed: its size and its end."""

    total: int = 0
    tail: bytearray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.tail = bytearray()

    def add(self, piece: bytes) -> None:
        self.total += len(piece)
        self.tail += piece
        if len(self.tail) > 2 * TAIL_BYTES:
            del self.tail[:-TAIL_BYTES]

    def lines(self) -> list[str]:
        return last_lines(self.tail.decode("utf-8", "replace"))


def group_name(workdir: Path, job: str) -> str:
    """The control group of a job: runners of several platforms on one machine must not meet in one."""
    return f"{hashlib.sha256(str(workdir).encode()).hexdigest()[:8]}-{job}"


class Builder:
    """Runs builds with the engine's command line under the settings' limits."""

    def __init__(self, settings: RunnerSettings, engine: Engine, registry: Registry, storage: Path) -> None:
        self._settings, self._engine, self._registry, self._storage = settings, engine, registry, storage

    async def build(self, request: BuildRequest, dockerfile: str, name: str, write: Callable[[bytes], None]) -> None:
        """Build, or raise JobFailed with the limit that ended it or the build's last lines.

        Cancelling it kills every process of the build and removes its containers before the cancellation goes on.
        """
        async with self._group(group_name(self._settings.workdir, name)) as group:
            request = self._limited(request, group)
            output = Output()
            try:
                code = await self._run(request, group, output, write)
            finally:
                usage = group.usage()
                await asyncio.shield(self._end(group))
            if code != 0:
                raise await self._why(code, usage, output, dockerfile)

    def _limited(self, r: BuildRequest, group: BuildGroup) -> BuildRequest:
        s = self._settings
        return BuildRequest(
            r.context, r.dockerfile, r.image, r.iidfile, r.tmp, r.labels, r.args, s.pull, s.build_network, s.ca_file,
            s.build_memory_bytes, s.build_cpus, s.build_disk_bytes, s.build_pids, group.engine_path,
        )  # fmt: skip

    @asynccontextmanager
    async def _group(self, name: str) -> AsyncIterator[BuildGroup]:
        s = self._settings
        group = BuildGroup(s.cgroup_parent, name)
        group.create(memory_bytes=s.build_memory_bytes, pids=s.build_pids, cpus=s.build_cpus)
        try:
            yield group
        finally:
            group.remove()

    async def _run(self, request: BuildRequest, group: BuildGroup, output: Output, write: Callable[[bytes], None]) -> int:
        s = self._settings
        limit = s.build_output_bytes

        async def take(piece: bytes) -> None:
            output.add(piece)
            if output.total > limit:
                raise JobFailed(FailureCode.BUILD_OUTPUT_LIMIT, output.lines(), limit=size(limit))
            write(piece)

        watch = DiskWatch(self._storage, request.tmp, group.engine_path, s.build_disk_bytes)
        try:
            async with (
                asyncio.timeout(s.build_seconds),
                proc.spawn(self._engine.build(request), stderr=asyncio.subprocess.STDOUT) as child,
            ):
                assert child.process.stdout is not None
                watching = asyncio.create_task(watch.run())
                reading = asyncio.create_task(proc.pump(child.process.stdout, take))
                try:
                    await asyncio.wait({watching, reading}, return_when=asyncio.FIRST_COMPLETED)
                    if watching.done():
                        watching.result()
                        raise JobFailed(FailureCode.OUT_OF_DISK, output.lines(), limit=size(s.build_disk_bytes))
                    reading.result()
                    return await child.process.wait()
                finally:
                    watching.cancel()
                    reading.cancel()
                    await asyncio.gather(watching, reading, return_exceptions=True)
        except TimeoutError as e:
            raise JobFailed(FailureCode.BUILD_TIMEOUT, output.lines(), seconds=int(s.build_seconds)) from e

    async def _end(self, group: BuildGroup) -> None:
        """After the engine's process is gone: nothing that it started may live on."""
        if not group.available:
            return
        if await asyncio.to_thread(group.pids):
            await asyncio.to_thread(group.kill)
        leftover = await asyncio.to_thread(working_containers, self._storage, group.engine_path)
        if leftover:
            await proc.run(self._engine.remove_container(*leftover), timeout=60)

    async def _why(self, code: int, usage: Usage, output: Output, dockerfile: str) -> JobFailed:
        s, lines = self._settings, output.lines()
        if usage.oom_kills:
            return JobFailed(FailureCode.OUT_OF_MEMORY, lines, limit=size(s.build_memory_bytes))
        for image in base_images(dockerfile):
            if failed := await self._base_missing(image):
                failed.lines = failed.lines or lines
                return failed
        if usage.pids_refused:
            lines = [f"[进程数达到上限 {s.build_pids} / the limit of {s.build_pids} processes was reached]", *lines]
        return JobFailed(FailureCode.BUILD_FAILED, lines, exit=code)

    async def _base_missing(self, image: str) -> JobFailed | None:
        """The reason a base image is not there, or None when it is."""
        if (await proc.run(self._engine.has_image(image), timeout=30)).code == 0:
            return None
        ref = parse_image(image)
        if not ref.registry and "/" not in ref.path:
            ref.path = f"library/{ref.path}"
        try:
            found = await self._registry.digest(ref)
        except JobFailed as e:
            return e if e.code is FailureCode.REGISTRY_AUTH else JobFailed(e.code, [image, *e.lines], **e.params)
        return None if found else JobFailed(FailureCode.IMAGE_NOT_FOUND, image=image)


def size(limit: int) -> str:
    """``2 GiB`` for people."""
    for unit, name in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if limit >= unit:
            return f"{limit / unit:.3g} {name}"
    return f"{limit} B"
