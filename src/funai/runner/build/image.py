"""One image build: its own process group and control group, watched for time, output, disk and memory."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from funai.base.process import proc
from funai.base.process.proc import Command
from funai.contracts.errors import BadInput
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import full_name, parse_image
from funai.dockerfile.images import Allowed
from funai.dockerfile.rules import trigger_args
from funai.i18n.joblog import both
from funai.i18n.reasons import Words
from funai.i18n.sizes import size
from funai.runner.build.advice import advice
from funai.runner.build.base_images import BaseAbsent, BaseImage, Bases, image_ids
from funai.runner.build.cgroup import BuildGroup, Usage
from funai.runner.build.diskwatch import DiskWatch, working_containers
from funai.runner.build.output import Output
from funai.runner.build.plan import check_mounts
from funai.runner.build.reading import Reading, write_down
from funai.runner.build.watch import BuildWatch
from funai.runner.commands.engine import BuildRequest, Engine
from funai.runner.failures import JobFailed
from funai.runner.publish.registry import Registry
from funai.runner.sandbox.cell import Run
from funai.runner.sandbox.storewatch import StoreWatch
from funai.runner.sandbox.workshop import Fit, Workshop
from funai.runner.settings import RunnerSettings

KILLED, FILE_TOO_LARGE = 128 + 9, 128 + 25
"""A step's exit status when its process got SIGKILL."""
ENGINE_FAILED = 125
"""Podman's exit status when it failed itself, and not a step."""
REPEATS = 2
SHARED_CACHE = f"==> {both('shared_cache')}\n"
NO_HEREDOC_FILES = Words(
    "Docker 的构建器不支持 COPY <<；请把内容放进文件并 COPY 它",
    "Docker's builder has no COPY <<; put the text into a file and COPY that",
)
TOO_MANY_FILES = ("EMFILE", "Too many open files", "ulimit: error setting limit", "open files: cannot modify limit")
FORK_REFUSED = "Cannot fork"
"""How Debian's shell says that it may start no process more."""


def group_name(workdir: Path, job: str) -> str:
    """The control group of a job: runners of several platforms on one machine must not meet in one."""
    return f"{hashlib.sha256(str(workdir).encode()).hexdigest()[:8]}-{job}"


GROUP_SECONDS = 5.0
"""How long the engine may take to let go of an ended build's control group; what it keeps longer, the janitor removes."""


class Builder:
    """Runs builds with the engine's command line under the settings' limits."""

    def __init__(
        self,
        settings: RunnerSettings,
        engine: Engine,
        registry: Registry,
        storage: Path,
        search: Sequence[str] = (),
        workshop: Workshop | None = None,
    ) -> None:
        self._settings, self._engine, self._registry, self._storage = settings, engine, registry, storage
        self._workshop = workshop
        self.bases = Bases(settings, engine, registry, storage, search)
        self.active = 0
        """Builds running right now, and what they made on its way to the registry."""
        self.gate = asyncio.Lock()
        """Held while a build begins, and while the janitor looks for unused layers and removes them: never both."""

    @property
    def mounts(self) -> bool:
        """Whether a build can mount files: Docker's classic builder can't."""
        return self._workshop is not None or not self._engine.docker

    @property
    def own_caches(self) -> bool:
        """Whether an app's cache mounts are its own: without the wall an engine has one folder of them for all builds."""
        return self._workshop is not None

    @contextmanager
    def kept(self, repository: str) -> Iterator[None]:
        """From a build to the end of its push, eviction takes nothing of what the app's image is made of."""
        self.active += 1
        try:
            with self._workshop.kept(repository) if self._workshop else nullcontext():
                yield
        finally:
            self.active -= 1

    async def build(
        self, request: BuildRequest, reading: Reading, ignore: Sequence[Path], name: str, write: Callable[[bytes], None]
    ) -> list[str]:
        """Build the request's context, or raise JobFailed with the limit that ended it or the build's last lines.

        Returns notes for the app's owner on a build that succeeded.
        Cancelling it kills every process of the build and removes its containers before the cancellation goes on.
        """
        s = self._settings
        plan = await asyncio.to_thread(reading.plan)
        async with self._group(group_name(s.workdir, name)) as group:
            request, folder = self._limited(request, group), request.tmp.parent
            disk = self._disk(folder, group)
            watch, output = BuildWatch(group, disk), Output(s.build_output_bytes, write, strict=reading.own)

            async def run(command: Command) -> int:
                return await self._run(command, group, watch, output)

            async def fit(bases: Mapping[str, BaseImage]) -> BuildRequest:
                fitted = await asyncio.to_thread(self._fitted, request, reading, bases, ignore)
                if not fitted.keep_layers and self.mounts:
                    await output.take(SHARED_CACHE.encode())
                return fitted

            try:
                # One limit for all of it: fifty base images from slow registries are one build.
                async with asyncio.timeout(s.build_seconds):
                    if self._workshop:
                        assert isinstance(disk, StoreWatch)
                        code = await self._workshop.build(plan.images, reading.allowed, folder, group.folders, run, disk, fit)
                    else:
                        assert isinstance(disk, DiskWatch)
                        code = await self._beside_all(plan.images, reading.allowed, request.tmp, run, disk, fit, output)
            except BaseAbsent as e:
                raise await self._absent(e.name, output.lines()) from e
            except TimeoutError as e:
                raise JobFailed(FailureCode.BUILD_TIMEOUT, output.lines(), seconds=int(s.build_seconds)) from e
            finally:
                watch.look()
                await asyncio.shield(self._end(group))
            if code != 0:
                raise await self._why(code, watch.usage, output, plan.images)
            return self._doubts(watch.usage)

    def _disk(self, folder: Path, group: BuildGroup) -> DiskWatch | StoreWatch:
        limit = self._settings.build_disk_bytes
        if self._workshop:
            return StoreWatch(folder, limit)
        return DiskWatch(self._storage, folder, group.engine_path, limit, group.steps)

    async def _beside_all(
        self, images: Sequence[str], may: Allowed, tmp: Path, run: Run, disk: DiskWatch, fit: Fit, output: Output
    ) -> int:
        """Without the wall: on the machine's engine, whose images are shared."""

        async def pull(command: Command) -> int:
            disk.pulls = True
            try:
                return await run(command)
            finally:
                disk.pulls = False

        async with self.bases.ready(images, may, tmp, pull) as bases:
            return await self.repeated(await fit(bases), run, output)

    async def repeated(self, request: BuildRequest, run: Callable[[Command], Awaitable[int]], output: Output) -> int:
        """Build; again when the engine itself gave up while images went that it had begun to look at (an app's removal)."""
        for _ in range(REPEATS):
            before = await asyncio.to_thread(image_ids, self._storage)
            code = await run(self._engine.build(request))
            if code != ENGINE_FAILED or before <= await asyncio.to_thread(image_ids, self._storage):
                return code
            await output.take(f"==> {both('images_removed')}\n".encode())
        return await run(self._engine.build(request))

    def _fitted(
        self, request: BuildRequest, reading: Reading, bases: Mapping[str, BaseImage], ignore: Sequence[Path]
    ) -> BuildRequest:
        """With the Dockerfile as it is written anew for the engine, and what follows from it. Raises JobFailed.

        Only declared arguments: the engine warns in the user's log about all others. No cache for steps that
        mount files: Podman would take another commit's result, or another tenant's, for them.
        """
        facts = self._workshop.bases.facts(bases) if self._workshop else self.bases.facts(bases)
        plan, emitted = reading.written(facts, request.context)
        shared = check_mounts(plan, request.context)
        if emitted.files and not self.mounts:
            raise JobFailed(FailureCode.CONTRACT_INVALID, detail=NO_HEREDOC_FILES)
        dockerfile, files = write_down(emitted, request.tmp.parent, ignore)
        declared = emitted.args | trigger_args(t for b in bases.values() for t in b.triggers)
        return replace(
            request,
            dockerfile=dockerfile,
            files=files,
            keep_layers=not shared,
            use_cache=not (request.fresh or plan.mounts_files),
            args={name: value for name, value in request.args.items() if name in declared},
            docker_format=plan.dockers_only or any(b.docker for b in bases.values()),
        )

    def _limited(self, r: BuildRequest, group: BuildGroup) -> BuildRequest:
        s = self._settings
        return replace(
            r,
            network=s.build_network,
            ca_file=s.ca_file,
            memory_bytes=s.build_memory_bytes,
            cpus=s.build_cpus,
            file_bytes=s.build_disk_bytes,
            pids=s.build_pids,
            cgroup=group.engine_path,
            open_files=within_hard_limit(s.build_files),
        )

    @asynccontextmanager
    async def _group(self, name: str) -> AsyncIterator[BuildGroup]:
        """The build's group. While there is one the build counts as active, so that it is not removed as a leftover."""
        s = self._settings
        group = BuildGroup(s.cgroup_parent, name)
        leaf = self._workshop is not None
        async with self.gate:
            self.active += 1
        try:
            group.create(memory_bytes=s.build_memory_bytes, pids=s.build_pids, cpus=s.build_cpus, leaf=leaf)
            try:
                yield group
            finally:
                await asyncio.shield(asyncio.to_thread(group.remove, GROUP_SECONDS))
        finally:
            self.active -= 1

    async def _run(self, command: Command, group: BuildGroup, watch: BuildWatch, output: Output) -> int:
        """The engine's exit status. Raises JobFailed when a limit was broken; nothing of the build runs on then."""
        async with proc.spawn(command, stderr=asyncio.subprocess.STDOUT) as child:
            assert child.process.stdout is not None
            watch.child(child.pid)
            watching = asyncio.create_task(watch.run())
            reading = asyncio.create_task(proc.pump(child.process.stdout, output.take))
            try:
                await asyncio.wait({watching, reading}, return_when=asyncio.FIRST_COMPLETED)
                if watching.done():
                    raise self._broken(watching.result(), output)
                reading.result()
                return await child.process.wait()
            finally:
                watch.child(None)
                # The steps first: they are no children of the group that is killed on leaving.
                if not reading.done() or reading.exception():
                    await asyncio.shield(asyncio.to_thread(group.kill))
                for task in (watching, reading):
                    task.cancel()
                await asyncio.gather(watching, reading, return_exceptions=True)

    def _doubts(self, usage: Usage) -> list[str]:
        limit = size(self._settings.build_memory_bytes)
        return [both("killed_for_memory", limit=limit)] if usage.oom_kills else []

    def _broken(self, code: FailureCode, output: Output) -> JobFailed:
        if code is FailureCode.OUT_OF_DISK:
            return JobFailed(code, output.lines(), limit=size(self._settings.build_disk_bytes))
        return JobFailed(code, [self._too_many_processes(), *output.lines()], exit=137)

    def _too_many_processes(self) -> str:
        return f"[{both('processes_limit', n=self._settings.build_pids)}]"

    async def _end(self, group: BuildGroup) -> None:
        """After the engine's process is gone: nothing that it started may live on."""
        if not group.available:
            return
        if await asyncio.to_thread(group.pids):
            await asyncio.to_thread(group.kill)
        if self._workshop:
            return
        leftover = await asyncio.to_thread(working_containers, self._storage, group.engine_path)
        if leftover:
            await proc.run(self._engine.remove_container(*leftover), timeout=60)

    async def _why(self, code: int, usage: Usage, output: Output, images: Sequence[str]) -> JobFailed:
        s, lines = self._settings, output.lines()
        if usage.oom_kills or (usage.memory_full and code == KILLED):
            return JobFailed(FailureCode.OUT_OF_MEMORY, lines, limit=size(s.build_memory_bytes))
        if code == FILE_TOO_LARGE:
            return self._broken(FailureCode.OUT_OF_DISK, output)
        for image in images if not self._workshop else ():
            if failed := await self._base_missing(image):
                failed.lines = failed.lines or lines
                return failed
        # A bomb that ends between two looks took its counters with it; what its shells said is left.
        if usage.pids_refused or any(FORK_REFUSED in line for line in lines):
            lines = [self._too_many_processes(), *lines]
        if any(word in line for line in lines for word in TOO_MANY_FILES):
            n = within_hard_limit(s.build_files)
            lines = [f"[{both('open_files_limit', n=n)}]", *lines]
        if said := advice(output.recent()):
            lines = [f"[{said}]", *lines]
        if usage.memory_full:
            lines = [f"[{both('memory_limit', limit=size(s.build_memory_bytes))}]", *lines]
        return JobFailed(FailureCode.BUILD_FAILED, lines, exit=code)

    async def _base_missing(self, image: str) -> JobFailed | None:
        """The reason a base image is not there, or None when it is."""
        if (await proc.run(self._engine.has_image(image), timeout=30)).code == 0:
            return None
        failed = await self._absent(image)
        return None if failed.code is FailureCode.BUILD_FAILED else failed

    async def _absent(self, image: str, lines: Sequence[str] = ()) -> JobFailed:
        """Why an image could not be had, asked of its registry; BUILD_FAILED when that has it (now)."""
        try:
            ref = parse_image(full_name(parse_image(image)))
            found = await self._registry.digest(ref)
        except BadInput:
            return JobFailed(FailureCode.IMAGE_NOT_FOUND, lines, image=image)
        except JobFailed as e:
            e.lines = [image, *e.lines, *lines]
            return e
        if found:
            return JobFailed(FailureCode.BUILD_FAILED, lines, exit=ENGINE_FAILED)
        return JobFailed(FailureCode.IMAGE_NOT_FOUND, lines, image=image)


def within_hard_limit(files: int) -> int:
    """No process can be given more open files than this one may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return files if hard == resource.RLIM_INFINITY else min(files, hard)
