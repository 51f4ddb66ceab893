"""What the standard image of a Node project will be: the decisions, as one value."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.dockerfile.node.bins import Need, development_need
from funai.dockerfile.node.defaults import member_start, only_member, start_script
from funai.dockerfile.node.files import ProjectFiles
from funai.dockerfile.node.managers import ROOT_HOOKS, Kind, Manager, manager_of
from funai.dockerfile.node.start import Start, read_start
from funai.dockerfile.node.static import Site, pages_of, site_of
from funai.dockerfile.node.system import may_compile, run_time_packages, uses_prisma
from funai.dockerfile.node.versions import MAJORS, NodeChoice, choose, node_wish

_EARLY = {"patch-package": "patches", "prisma": "prisma", "@prisma/client": "prisma"}
"""Folders that install scripts of packages read: they come before the install."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The image of a project.

    ``start`` is None for a static ``site``. ``hooks``: scripts of the project that an install runs. ``early``: folders
    that come before the install. ``keep_dev``: why development packages stay, None when they go.
    """

    node: NodeChoice
    manager: Manager
    files: ProjectFiles
    port: int
    start: Start | None
    site: Site | None
    build: bool
    """Whether there is a build script; ``build_in`` is the workspace's folder that has it, "" for the root."""
    hooks: tuple[str, ...]
    early: tuple[str, ...]
    keep_dev: Need | None
    own_npmrc_registry: str | None
    compiles: str | None = None
    """A start script that would compile the app once more, and is left for ``start:prod``."""
    build_in: str = ""
    system: tuple[str, ...] = ()
    """Debian packages that the build and the app need."""
    may_compile: bool = False
    """Whether an install that fails is made once more with compilers."""

    @property
    def launcher(self) -> bool:
        """Whether the app runs below the launcher instead of as the container's own process."""
        return self.start is not None and not self.start.plain

    @property
    def variables_at_install(self) -> bool:
        """Whether the install needs the app's variables: the manager's settings name some (tokens), or Prisma looks for the
        mirror that its engines come from.
        """
        return uses_prisma(self.files) or any("${" in self.files.texts.get(name, "") for name in (".npmrc", ".yarnrc.yml"))

    @property
    def foreign_engines(self) -> bool:
        """Whether package.json asks for a Node that the image is not: managers that insist on it would install nothing."""
        wish = self.node.wish
        return wish is not None and not self.node.satisfied and "engines" in self.files.package.data

    @property
    def source_first(self) -> bool:
        """Whether the whole source comes before the install: npm can run the project's own scripts afterwards."""
        kind = self.manager.kind
        linked = bool(self.files.members) and kind is not Kind.NPM
        return linked or (bool(self.hooks) and kind is not Kind.NPM)

    @property
    def has_dependencies(self) -> bool:
        packages = (self.files.package, *self.files.members)
        return any(p.dependencies or p.dev_dependencies for p in packages)

    @property
    def prune(self) -> bool:
        """Whether development packages are left out of the image."""
        dev = any(p.dev_dependencies for p in (self.files.package, *self.files.members))
        plain = not self.files.members or self.manager.kind is Kind.NPM
        return dev and self.keep_dev is None and self.site is None and plain and self.manager.prunes


def make_plan(files: ProjectFiles, *, port: int = 3000, available: Collection[int] = MAJORS) -> Plan:
    """The plan for a repository. Raises BadInput NPM_START_MISSING when there is nothing to start and no site to serve."""
    script = start_script(files)
    start = read_start(files, script) if script else None
    instead = _built_instead(files, start)
    start = read_start(files, instead, name="start:prod") if instead else start
    site = site_of(files, start)
    if start is None and site is None:
        site = pages_of(files)
    if start is None and site is None:
        raise BadInput(Reason.NPM_START_MISSING)
    if site:
        start = None
    member = _built_member(files, script)
    hooks = tuple(name for name in ROOT_HOOKS if name in files.package.scripts)
    return Plan(
        node=choose(node_wish(files), available),
        manager=manager_of(files),
        files=files,
        port=port,
        start=start,
        site=site,
        build=bool(member) or "build" in files.package.scripts,
        build_in=member,
        hooks=hooks,
        early=_early(files),
        keep_dev=development_need(files, start) if start else None,
        own_npmrc_registry=npmrc_registry(files.texts.get(".npmrc", "")),
        compiles=script if instead else None,
        system=run_time_packages(files),
        may_compile=may_compile(files),
    )


def _built_instead(files: ProjectFiles, start: Start | None) -> str | None:
    """``start:prod``, where ``start`` is Nest's development runner and the build was made already."""
    main = start.main if start else None
    runner = main is not None and main.program == "nest" and main.arguments[:1] == ("start",)
    return files.package.scripts.get("start:prod") if runner and "build" in files.package.scripts else None


def _built_member(files: ProjectFiles, script: str | None) -> str:
    """The workspace that is started for want of a root script, where it is also the one with the build; else ""."""
    member = only_member(files)
    if member is None or script != member_start(member) or "build" in files.package.scripts:
        return ""
    return member.folder if "build" in member.scripts else ""


def _early(files: ProjectFiles) -> tuple[str, ...]:
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    wanted = {
        folder for package, folder in _EARLY.items() if package in known or (package == "prisma" and "@prisma/client" in known)
    }
    declared = files.package.data.get("pnpm")
    if isinstance(declared, dict) and "patchedDependencies" in declared:
        wanted.add("patches")
    return tuple(sorted(f for f in wanted if any(p.startswith(f"{f}/") for p in files.paths)))


def npmrc_registry(npmrc: str) -> str | None:
    """The registry that a ``.npmrc`` names for all packages, unless that is npm's own."""
    match = re.search(r"^[ \t]*registry[ \t]*=[ \t]*[\"']?(https?://[^\s\"']+)", npmrc, re.MULTILINE)
    if not match or re.match(r"https?://registry\.(npmjs\.org|yarnpkg\.com)/?$", match[1]):
        return None
    return match[1]
