"""The BUILD phase of a job: what is built from a checked-out commit, and with what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from funai.contracts.apps.buildspec import CA_IN_BUILD, AppSpec, choose_port
from funai.contracts.jobs import Job, Payload
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef
from funai.dockerfile.node.files import ProjectFiles
from funai.dockerfile.node.findings import notices
from funai.dockerfile.node.plan import Plan
from funai.dockerfile.node.render import CA_IN_STAGE, DEBIAN_AWAY, REGISTRY_AWAY
from funai.dockerfile.node.versions import MAJORS
from funai.i18n.joblog import both
from funai.runner.build.image import Builder
from funai.runner.build.plan import Recipe, read_recipe
from funai.runner.build.reading import Reading, allowed
from funai.runner.build.standard import plan_standard, read_project, write_standard
from funai.runner.commands.engine import BuildRequest
from funai.runner.failures import JobFailed
from funai.runner.logs import LogStream
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Commit
from funai.runner.variables import build_values, remarks, told

LABEL_COMMIT = "org.opencontainers.image.revision"
ABSENT_SECONDS = 600.0
"""How long a Node image that could not be had is not asked for again."""
_OPERATORS = ("NPM_REGISTRY", "FUNAI_DEBIAN_MIRROR", "NODE_EXTRA_CA_CERTS")
"""Build arguments that have the operator's settings."""
_NO_BASE = (FailureCode.IMAGE_NOT_FOUND, FailureCode.REGISTRY_UNREACHABLE, FailureCode.REGISTRY_AUTH)


MakeNode = Callable[[int], Awaitable[bool]]
"""Makes the base image with this major version of Node on the machine's engine; False when that is not possible."""


class NodeImages:
    """Which of the standard image's Node versions this Runner could not have lately. ``make``: how to have one anyway."""

    def __init__(self, make: MakeNode | None = None) -> None:
        self._absent: dict[int, float] = {}
        self._make = make
        self._tried = set[int]()
        self._making = asyncio.Lock()

    async def provide(self, major: int, say: Callable[[str], None]) -> bool:
        """Whether the image, which could not be pulled, has just been made; each is tried once."""
        async with self._making:
            if self._make is None or major in self._tried:
                return False
            self._tried.add(major)
            say(
                f"    用软件包制作 Node {major} 的基础镜像（仅一次）/ making a base image with Node {major} from packages, once"
            )
            return await self._make(major)

    def available(self) -> tuple[int, ...]:
        now = time.monotonic()
        found = tuple(m for m in MAJORS if now - self._absent.get(m, -ABSENT_SECONDS) >= ABSENT_SECONDS)
        return found or MAJORS

    def missing(self, major: int) -> None:
        self._absent[major] = time.monotonic()


@dataclass(frozen=True, slots=True)
class ImageBuild:
    """One build. ``folder`` is the job's own."""

    settings: RunnerSettings
    builder: Builder
    nodes: NodeImages
    job: Job
    payload: Payload
    spec: AppSpec
    out: LogStream
    folder: Path

    async def run(self, src: Path, commit: Commit, image: ImageRef) -> list[str]:
        """Build ``image`` from the commit's files and return notes for the app's owner. Raises JobFailed."""
        found = await asyncio.to_thread(read_recipe, self.payload, src)
        (self.folder / "tmp").mkdir()
        if isinstance(found, Recipe):
            return await self._build(found, commit, image)
        return await self._standard(found, commit, image)

    async def _standard(self, context: Path, commit: Commit, image: ImageRef) -> list[str]:
        """With the platform's Dockerfile, on the Node that the project asks for, or else on one that can be had."""
        self.out.line(f"    {both('standard_image')}")
        project = await asyncio.to_thread(read_project, context)
        while True:
            available = self.nodes.available()
            plan = self._plan(project, available)
            recipe = await asyncio.to_thread(
                write_standard,
                plan,
                context,
                ca_to_copy=None if self.builder.mounts else self.settings.ca_file,
                variables=build_values(self.payload),
                address=told(self.job, self.payload, self.spec, commit.sha),
                tools=self._tools(generated=True),
                caches=self.builder.own_caches,
            )
            self._announce(plan)
            try:
                return await self._build(recipe, commit, image)
            except JobFailed as e:
                if e.code not in _NO_BASE:
                    raise self._blamed(e, plan) from e
                if await self.nodes.provide(plan.node.major, self.out.line):
                    continue
                if len(available) < 2:
                    raise
                self.nodes.missing(plan.node.major)
                self.out.line(f"    {both('other_node_version', image=plan.node.image)}")

    def _plan(self, project: ProjectFiles, available: tuple[int, ...]) -> Plan:
        return plan_standard(project, port=choose_port(self.payload.container_port, self.spec), available=available)

    def _announce(self, plan: Plan) -> None:
        for notice in notices(plan):
            mark = "!" if notice.weighty else " "
            self.out.line(f"  {mark} {notice.words.zh} / {notice.words.en}")

    def _blamed(self, error: JobFailed, plan: Plan) -> JobFailed:
        """Steps end with a status of their own where packages can't be had: that isn't the code's fault."""
        status = error.params.get("exit") if error.code is FailureCode.BUILD_FAILED else None
        if status == DEBIAN_AWAY:
            named = f"{self.settings.debian_mirror or 'deb.debian.org'} ({' '.join(plan.system)}; FUNAI_DEBIAN_MIRROR)"
        elif status == REGISTRY_AWAY:
            named = plan.own_npmrc_registry or "NPM_REGISTRY"
        else:
            return error
        return JobFailed(FailureCode.PACKAGE_REGISTRY_UNREACHABLE, error.lines, registry=named)

    async def _build(self, recipe: Recipe, commit: Commit, image: ImageRef) -> list[str]:
        args = self._arguments(recipe, commit)
        reading = Reading(recipe.text, allowed(image, self.settings), args, own=not recipe.generated)
        for line in remarks(self.payload, (await asyncio.to_thread(reading.plan)).declared_args, generated=recipe.generated):
            self.out.line(line)
        # One label and no more: the builder commits one more image for each.
        labels = {LABEL_COMMIT: commit.sha}
        request = BuildRequest(
            recipe.context,
            str(image),
            self.folder / "iid",
            self.folder / "tmp",
            labels=labels,
            args=args,
            fresh=bool(self.payload.no_cache),
        )
        return await self.builder.build(request, reading, recipe.ignore, self.folder.name, self.out.write)

    def _arguments(self, recipe: Recipe, commit: Commit) -> Mapping[str, str]:
        """Build arguments; the platform's own win over the app's of the same name."""
        args: dict[str, str] = {}
        if not recipe.generated:
            args = {**build_values(self.payload), **told(self.job, self.payload, self.spec, commit.sha)}
        args |= self._tools(generated=recipe.generated)
        if recipe.generated:
            # The builder tells people to pass what has no value, which an app's owner can't do.
            args = {name: "" for name in _OPERATORS if f"ARG {name}\n" in recipe.text} | args
        return args

    def _tools(self, *, generated: bool) -> dict[str, str]:
        """What package managers need of the operator's settings."""
        s, mounts = self.settings, self.builder.mounts
        found = {"NPM_REGISTRY": s.npm_registry} if s.npm_registry else {}
        found |= {"FUNAI_DEBIAN_MIRROR": s.debian_mirror} if s.debian_mirror else {}
        if s.ca_file and (mounts or generated):
            found["NODE_EXTRA_CA_CERTS"] = CA_IN_BUILD if mounts else CA_IN_STAGE
        elif s.ca_file:
            self.out.line(f"    {both('no_ca_mount')}")
        return found
