"""The story of one job: from a claim to an image that serves."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from funai.base.clients.registry.distribution import Manifest
from funai.contracts import naming, rules
from funai.contracts.agent import AgentDeploy, HealthSpec
from funai.contracts.apps.buildspec import APP_YAML, MAX_APP_YAML, AppSpec, choose_port
from funai.contracts.errors import BadInput
from funai.contracts.jobs import Job, JobResult, Payload
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef
from funai.contracts.states import Phase
from funai.i18n.joblog import both
from funai.runner.build.image import Builder
from funai.runner.build.phase import ImageBuild, NodeImages
from funai.runner.build.plan import app_spec, inputs_hash
from funai.runner.claim.lease import Lease, LeaseKeeper
from funai.runner.cleanup.fs import remove_tree
from funai.runner.failures import JobFailed, invalid
from funai.runner.logs import LogStream
from funai.runner.metrics import RunnerMetrics
from funai.runner.publish.push import Pusher
from funai.runner.publish.registry import Registry
from funai.runner.publish.rollout import Rollout
from funai.runner.retry import retrying
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Commit, Source
from funai.runner.variables import deciding, environment, strips_prefix

T = TypeVar("T")
LABEL_COMMIT = "org.opencontainers.image.revision"


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """What a job works with; made once a runner."""

    settings: RunnerSettings
    source: Source
    builder: Builder
    pusher: Pusher
    registry: Registry
    rollout: Rollout
    leases: LeaseKeeper
    metrics: RunnerMetrics
    nodes: NodeImages = field(default_factory=NodeImages)


@dataclass(frozen=True, slots=True)
class Image:
    """What is to run. ``digest`` is None when the registry could not be asked (a prebuilt image)."""

    name: str
    digest: str | None
    port: int
    health_path: str | None
    built: bool
    git_sha: str | None = None
    spec: AppSpec = field(default_factory=AppSpec)
    id: str | None = None
    """What an engine that has it already calls it. Only for what this platform pushed: another registry could name any."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is of a commit before anything is built."""

    commit: Commit
    spec: AppSpec
    manifest: Manifest | None
    """Its image, made from these inputs, if the registry has it."""
    tags: dict[str, str | None]
    """What the image's other tags point at."""


@dataclass(slots=True)
class JobRun:
    """One running job. ``folder`` is its own and is removed by whoever made it."""

    tools: RunnerContext
    job: Job
    payload: Payload
    lease: Lease
    out: LogStream
    folder: Path
    phases_ms: dict[str, int] = field(default_factory=dict[str, int])
    notes: list[str] = field(default_factory=list[str])

    async def carry_out(self) -> JobResult:
        """Everything from the claim on. Raises JobFailed; LeaseGone when the lease went before a step others see."""
        image = await self._prebuilt(self.payload.image) if self.payload.image else await self._from_git()
        digest = await self._deploy(image)
        return JobResult(
            image=image.name,
            digest=digest,
            git_sha=image.git_sha,
            container_port=image.port,
            health_path=image.health_path,
            built=image.built,
            phases_ms=self.phases_ms,
            notes=self.notes or None,
            strip_prefix=None if strips_prefix(self.payload, image.spec) else False,
        )

    async def _prebuilt(self, name: str) -> Image:
        """A prebuilt image, by digest where its registry tells it; one that can't be asked is left to the agent."""
        port, health = self.payload.container_port or 3000, self.payload.health_path
        ref = rules.parse_image(name)
        if ref.digest or not ref.registry:
            return Image(name, ref.digest, port, health, False)
        try:
            async with asyncio.timeout(3):
                digest = await self.tools.registry.digest(ref)
        except (JobFailed, TimeoutError):
            digest = None
        pinned = f"{ref.repository}@{digest}" if digest else name
        return Image(pinned, digest, port, health, False)

    async def _from_git(self) -> Image:
        """Clone, and unless the registry has this very image already, build and push."""
        commit = await self._clone()
        target = self._target()
        known = await self._look(commit, target)
        spec, manifest = known.spec, known.manifest
        if manifest is None:
            manifest = await self._make(commit, target, spec)
        else:
            self.tools.metrics.skipped.inc()
            self.out.line(f"==> {both('image_exists', digest=manifest.digest)}")
        self.lease.check()
        await self._tag(target, manifest, commit.sha, known.tags if known.manifest else {})
        return Image(
            f"{target.repository}@{manifest.digest}",
            manifest.digest,
            choose_port(self.payload.container_port, spec),
            self.payload.health_path or spec.health_path,
            known.manifest is None,
            commit.sha,
            spec,
            manifest.image_id,
        )

    @property
    def _wanted(self) -> tuple[str | None, str]:
        """Repository and ref."""
        return self.payload.repo_ssh_url, self.payload.git_ref or "main"

    async def _look(self, commit: Commit, target: ImageRef) -> _Known:
        """The commit's own settings, beside what the registry has of it."""
        looking, asking = self._existing(target, commit.sha), self._digests(target, commit.sha)
        async with _beside(looking) as found, _beside(asking) as tagged:
            return _Known(commit, await self._app_spec(commit), await found, await tagged)

    async def _clone(self) -> Commit:
        url, ref = self._wanted
        if not url:
            raise JobFailed(FailureCode.CONTRACT_INVALID, detail="repoSshUrl")
        with self._phase(Phase.CLONE, f"{_host_and_path(url)} {ref}"):
            commit = await self.tools.source.fetch(url, ref)
        self.out.line(f"    commit {commit.sha}")
        return commit

    def _target(self) -> ImageRef:
        """Where the image goes: the payload's registry and namespace, else the runner's."""
        p, s = self.payload, self.tools.settings
        registry, namespace = p.acr_registry or s.registry, p.acr_namespace or s.namespace
        if not registry or p.user_id is None or p.app_id is None:
            raise JobFailed(FailureCode.INTERNAL, detail="acrRegistry / ACR_REGISTRY, userId, appId")
        self.tools.registry.trust(registry)
        name = naming.image_repository(registry, namespace, p.user_id, p.app_id)
        return rules.parse_image(f"{name}:{p.image_tag or 'latest'}")

    async def _app_spec(self, commit: Commit) -> AppSpec:
        return app_spec(await self.tools.source.text(commit, APP_YAML, limit=MAX_APP_YAML))

    async def _existing(self, target: ImageRef, sha: str) -> Manifest | None:
        """The image of this commit, made from these inputs, if the registry has it and it may be used."""
        if self.payload.no_cache:
            return None
        try:
            return await self.tools.registry.manifest(ImageRef(target.registry, target.path, self._inputs_tag(sha), None))
        except JobFailed as e:
            # A registry that is away may be back when the image is built; a login it refuses won't be better then.
            if e.code is not FailureCode.REGISTRY_UNREACHABLE:
                raise
            return None

    def _inputs_tag(self, sha: str) -> str:
        """The tag that says: this commit, built from exactly these inputs."""
        deciders = deciding(self.job, self.payload)
        return f"{sha}-{inputs_hash(self.payload, self.tools.settings.npm_registry, deciders)}"

    async def _digests(self, target: ImageRef, sha: str) -> dict[str, str | None]:
        """What the image's tags point at now; none when the registry doesn't tell."""
        names = [sha, target.tag or "latest"]
        asked = (self.tools.registry.digest(ImageRef(target.registry, target.path, name, None)) for name in names)
        try:
            return dict(zip(names, await asyncio.gather(*asked), strict=True))
        except JobFailed:
            return {}

    async def _tag(self, target: ImageRef, manifest: Manifest, sha: str, known: dict[str, str | None]) -> None:
        """All tags of the image that ``known`` doesn't have yet; the inputs' tag comes last, when this job built it."""

        async def tag(name: str) -> None:
            await retrying(lambda: self.tools.registry.tag(target, manifest, name), seconds=seconds, when=_registry_away)

        seconds = self.tools.settings.retry_seconds
        names = {sha, target.tag or "latest"}
        await asyncio.gather(*(tag(name) for name in names if known.get(name) != manifest.digest))
        if not known:
            await tag(self._inputs_tag(sha))

    async def _make(self, commit: Commit, target: ImageRef, spec: AppSpec) -> Manifest:
        with self.tools.builder.kept(target.repository):
            with self._phase(Phase.BUILD, str(target)):
                async with self.tools.source.checked_out(commit, self.folder) as src:
                    t = self.tools
                    build = ImageBuild(t.settings, t.builder, t.nodes, self.job, self.payload, spec, self.out, self.folder)
                    self._note(await build.run(src, commit, target))
            self.lease.check()
            by_commit = ImageRef(target.registry, target.path, commit.sha, None)
            with self._phase(Phase.PUSH, str(target)):
                return await self.tools.pusher.push(target, by_commit, self.folder)

    async def _deploy(self, image: Image) -> str | None:
        """Hand it to the agent; answers the digest, which for an unresolved prebuilt image the agent may know."""
        node, p = self.job.runtime_node, self.payload
        if node is None or p.user_id is None or p.app_id is None:
            raise JobFailed(FailureCode.NO_NODE)
        self.lease.check()
        health = HealthSpec(path=image.health_path or "/", timeout_seconds=self.tools.settings.health_seconds)
        wish = AgentDeploy(
            user_id=str(p.user_id),
            app_id=str(p.app_id),
            image=image.name,
            container_port=image.port,
            base_path=p.base_path or naming.base_path(p.app_id),
            job_id=self.job.id,
            generation=self._generation(),
            health=health,
            env=dict(environment(self.job, p, image.spec, image.git_sha)),
            image_id=image.id,
            strip_prefix=strips_prefix(p, image.spec),
        )
        with self._phase(Phase.DEPLOY, f"{image.name} → {node.name}"):
            deployed = await self.tools.rollout.deploy(node, wish, self.out.line)
        for name, ms in (deployed.timings_ms or {}).items():
            self.phases_ms[f"deploy.{name}"] = ms
        self._note(deployed.notes)
        return image.digest or deployed.digest

    def _note(self, notes: Sequence[str]) -> None:
        self.notes += notes
        for note in notes:
            self.out.line(note)

    def _generation(self) -> int | None:
        return naming.generation(self.job.id, self.job.attempt) if self.job.attempt is not None else None

    @contextmanager
    def _phase(self, phase: Phase, message: str) -> Iterator[None]:
        """Tell the control plane and the log; keep how long it took."""
        self.tools.leases.phase(self.lease, phase, message[:500])
        self.out.line(f"==> {phase} {message}")
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            ms = int(seconds * 1000)
            self.tools.metrics.phases.labels(phase.lower()).observe(seconds)
            self.phases_ms[phase.lower()] = ms
            self.out.line(f"    {phase} {ms} ms")


def read_payload(job: Job) -> Payload:
    """The job's payload by the contract's rules. Raises JobFailed CONTRACT_INVALID."""
    try:
        return Payload.model_validate(job.payload)
    except BadInput as e:
        raise invalid(e) from e
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise JobFailed(FailureCode.CONTRACT_INVALID, detail=f"{where}: {first['msg']}") from e


def _registry_away(e: JobFailed) -> bool:
    return e.again and e.code is FailureCode.REGISTRY_UNREACHABLE


def _host_and_path(url: str) -> str:
    return re.sub(r"^ssh://[^@/]*@", "", url)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, T]) -> AsyncIterator[asyncio.Task[T]]:
    """``work`` runs while the context is open, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def job_folder(workdir: Path, job: Job) -> AsyncIterator[Path]:
    """``jobs/{id}-{attempt}`` under the work dir; nothing of it stays."""
    folder = workdir / "jobs" / f"job-{job.id}-{job.attempt or 0}"
    await remove_tree(folder)
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        await asyncio.shield(remove_tree(folder))
