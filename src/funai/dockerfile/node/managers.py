"""The package manager a project uses, found by its lock file, and the commands that install with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from funai.dockerfile.node.files import Package, ProjectFiles, strings

ROOT_HOOKS = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
"""Scripts of the project itself that an install runs, in npm's order."""


class Kind(StrEnum):
    NPM = "npm"
    PNPM = "pnpm"
    YARN = "yarn"
    """Yarn 1."""
    BERRY = "berry"
    """Yarn 2 and newer."""
    BUN = "bun"


@dataclass(frozen=True, slots=True)
class Manager:
    """``lockfile`` is None without one. ``package`` is what npm installs to have the manager; None: it is in the image."""

    kind: Kind
    lockfile: str | None
    package: str | None = None
    empty_lock: bool = False
    """The lock file is there and locks nothing, while the project has dependencies."""

    @property
    def command(self) -> str:
        return {Kind.BERRY: "yarn"}.get(self.kind, self.kind.value)

    @property
    def prunes(self) -> bool:
        """Whether the manager can take development packages out again: bun can't, nor yarn 2 and 3 without a plugin."""
        old_yarn = self.kind is Kind.BERRY and re.search(r"@[23](\.|$)", self.package or "") is not None
        return self.kind is not Kind.BUN and not old_yarn

    @property
    def frozen(self) -> bool:
        return self.lockfile is not None and not self.empty_lock


_LOCKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.PNPM, ("pnpm-lock.yaml",)),
    (Kind.YARN, ("yarn.lock",)),
    (Kind.BUN, ("bun.lock", "bun.lockb")),
    (Kind.NPM, ("package-lock.json", "npm-shrinkwrap.json")),
)
_DEFAULT_PACKAGES = {Kind.YARN: "yarn@1.22.22", Kind.BERRY: "@yarnpkg/cli-dist@4", Kind.BUN: "bun@1"}


def manager_of(files: ProjectFiles) -> Manager:
    """By ``packageManager`` where its lock file is there or none is; else by the lock file; else npm."""
    named, version = _declared(files.package)
    present = [(kind, next(n for n in names if files.has(n))) for kind, names in _LOCKS if any(map(files.has, names))]
    kind, lockfile = present[0] if present else (named or Kind.NPM, None)
    for found, name in present:
        if found == named or (found is Kind.YARN and named is Kind.BERRY):
            kind, lockfile = found, name
    if kind is Kind.YARN and _is_berry(files, named):
        kind = Kind.BERRY
    exact = version if named == kind and version else None
    empty = lockfile is not None and _locks_nothing(kind, files.texts.get(lockfile, ""), files.package)
    return Manager(kind, lockfile, _npm_package(kind, exact, files), empty)


def _declared(package: Package) -> tuple[Kind | None, str | None]:
    """What ``packageManager`` (or ``devEngines.packageManager``) names."""
    text: object = package.data.get("packageManager")
    if not isinstance(text, str):
        engines: object = package.data.get("devEngines")
        wanted: Any = cast("dict[str, Any]", engines).get("packageManager") if isinstance(engines, dict) else None
        text = strings(wanted).get("name", "")
    match = re.match(r"(npm|pnpm|yarn|bun)(?:@\^?(\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.]+)?))?", text)
    if not match:
        return None, None
    name, version = match[1], match[2]
    if name == "yarn" and version and not version.startswith("1."):
        return Kind.BERRY, version
    return Kind(name), version


def _is_berry(files: ProjectFiles, named: Kind | None) -> bool:
    lock = files.texts.get("yarn.lock", "")
    return named is Kind.BERRY or "__metadata:" in lock[:2000] or (not lock.strip() and ".yarnrc.yml" in files.texts)


def _npm_package(kind: Kind, exact: str | None, files: ProjectFiles) -> str | None:
    if kind is Kind.NPM:
        return f"npm@{exact}" if exact else None
    if exact:
        return f"{'@yarnpkg/cli-dist' if kind is Kind.BERRY else kind.value}@{exact}"
    if kind is Kind.PNPM:
        return f"pnpm@{_pnpm_major(files.texts.get('pnpm-lock.yaml', ''))}"
    if kind is Kind.BERRY:
        version = re.search(r"^[ \t]*yarnPath:.*yarn-(\d+\.\d+\.\d+)", files.texts.get(".yarnrc.yml", ""), re.MULTILINE)
        metadata = re.search(
            r"^__metadata:[ \t\r]*\n[ \t]+version: (\d{1,9})\b", files.texts.get("yarn.lock", ""), re.MULTILINE
        )
        if version:
            return f"@yarnpkg/cli-dist@{version[1]}"
        if metadata and int(metadata[1]) < 8:
            return "@yarnpkg/cli-dist@3"
    return _DEFAULT_PACKAGES[kind]


def _pnpm_major(lock: str) -> int:
    """The pnpm that wrote this lock file format; 9 and 10 share one."""
    match = re.search(r"^lockfileVersion: ['\"]?(\d{1,9})\b", lock, re.MULTILINE)
    return {5: 7, 6: 8}.get(int(match[1]) if match else 9, 9)


def _locks_nothing(kind: Kind, lock: str, package: Package) -> bool:
    external = [v for v in {**package.dependencies, **package.dev_dependencies}.values() if not v.startswith("workspace:")]
    if not external:
        return False
    if kind is Kind.PNPM:
        return not re.search(r"^(importers|dependencies|devDependencies|packages):", lock, re.MULTILINE)
    return kind is Kind.YARN and not re.search(r"^[ \t]+version ", lock, re.MULTILINE)
