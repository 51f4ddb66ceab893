"""What the plan reads of a repository: the text of a few files, and the names of all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.dockerfile import tokens
from funai.dockerfile.wildcards import MAX_PATTERN, path_pattern

MAX_WORKSPACES = 100
MAX_PATTERNS, MAX_FOLDER, MAX_LOOKS = 100, 1_000, 200_000
"""Of workspaces: patterns, characters of a folder's path, and how often one of each is compared."""
MAX_TEXT = 1024 * 1024
_CONFIGS = ("next", "vite", "astro", "svelte", "nuxt", "react-router", "remix")
_EXTENSIONS = ("js", "mjs", "cjs", "ts", "mts", "cts")

MISE = ("mise.toml", ".mise.toml")
READ = (
    "package.json",
    "Procfile",
    ".nvmrc",
    ".node-version",
    ".tool-versions",
    *MISE,
    *tokens.READ,
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "bun.lock",
    *(f"{name}.config.{ext}" for name in _CONFIGS for ext in _EXTENSIONS),
)
"""The root files whose text the plan reads."""

_PAGES = ("", "public/", "dist/", "build/")
_OTHER_LANGUAGES = frozenset(
    {
        "Cargo.toml",
        "Gemfile",
        "Pipfile",
        "app.py",
        "build.gradle",
        "composer.json",
        "deno.json",
        "go.mod",
        "index.php",
        "main.py",
        "manage.py",
        "mix.exs",
        "pom.xml",
        "pyproject.toml",
        "requirements.txt",
        "server.js",
    }
)
"""Root files of programs: a page beside one of them is no whole site."""
_PLAIN_FOLDER = re.compile(r"[A-Za-z0-9_@+][\w@+.-]*(/[A-Za-z0-9_@+][\w@+.-]*)*", re.ASCII)
"""Names that mean themselves in a Dockerfile."""


@dataclass(frozen=True, slots=True)
class Package:
    """One ``package.json``. ``folder`` is its place, ``""`` for the root."""

    folder: str
    data: Mapping[str, object]

    @property
    def name(self) -> str:
        return str(self.data.get("name") or "")

    @property
    def scripts(self) -> dict[str, str]:
        return strings(self.data.get("scripts"))

    @property
    def dependencies(self) -> dict[str, str]:
        return {**strings(self.data.get("optionalDependencies")), **strings(self.data.get("dependencies"))}

    @property
    def dev_dependencies(self) -> dict[str, str]:
        """The ones that aren't also ordinary dependencies."""
        ordinary = self.dependencies
        return {k: v for k, v in strings(self.data.get("devDependencies")).items() if k not in ordinary}


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """``texts``: what was read, by path; ``paths``: every file of the build context; ``members``: workspace packages."""

    texts: Mapping[str, str]
    paths: Collection[str]
    package: Package
    members: tuple[Package, ...] = field(default=())

    def config(self, framework: str) -> tuple[str, str] | None:
        """Name and text of ``<framework>.config.*``."""
        names = (f"{framework}.config.{ext}" for ext in _EXTENSIONS)
        return next(((name, self.texts[name]) for name in names if name in self.texts), None)

    def has(self, path: str) -> bool:
        return path in self.paths or path in self.texts

    def in_image(self, path: str) -> bool:
        """Whether a file of the repository comes into the image: by the platform's ``.dockerignore`` no ``.env`` does."""
        is_env = path == ".env" or (path.startswith(".env.") and path != ".env.production")
        return self.has(path) and (self.has(".dockerignore") or not is_env)


def collect(read: Callable[[str], str | None], paths: Collection[str]) -> ProjectFiles:
    """Read a repository. ``read`` answers a file's text or None. Raises BadInput PACKAGE_JSON_INVALID."""
    texts = {name: text for name in READ if (text := read(name)) is not None}
    package = parse_package("", texts.get("package.json", "" if page_folder(paths) is None else "{}"))
    folders = member_folders(package, texts.get("pnpm-workspace.yaml", ""), paths)
    members: list[Package] = []
    for folder in folders:
        text = read(f"{folder}/package.json")
        if text is not None:
            members.append(parse_package(folder, text))
            of_member = (f"{folder}/{name}" for name in tokens.READ)
            texts |= {path: text for path in of_member if path in paths and (text := read(path)) is not None}
    return ProjectFiles(texts, paths, package, tuple(members))


def page_folder(paths: Collection[str]) -> str | None:
    """Where a repository that is nothing but a site has its ``index.html`` (``""``, ``public/`` …); None for any other."""
    if not _OTHER_LANGUAGES.isdisjoint(paths):
        return None
    return next((folder for folder in _PAGES if f"{folder}index.html" in paths), None)


def parse_package(folder: str, text: str) -> Package:
    """Raises BadInput PACKAGE_JSON_INVALID."""
    try:
        data: object = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as e:
        raise BadInput(Reason.PACKAGE_JSON_INVALID) from e
    if not isinstance(data, dict):
        raise BadInput(Reason.PACKAGE_JSON_INVALID)
    return Package(folder, cast("dict[str, Any]", data))


def strings(value: object) -> dict[str, str]:
    """The entries of a mapping that are text."""
    if not isinstance(value, dict):
        return {}
    return {str(k): v for k, v in cast("dict[object, object]", value).items() if isinstance(v, str)}


def member_folders(package: Package, pnpm_workspace: str, paths: Collection[str]) -> list[str]:
    """Folders of the workspace's packages that are in the repository, sorted; at most MAX_WORKSPACES."""
    wanted, unwanted = _patterns(package, pnpm_workspace)
    if not wanted:
        return []
    found = {p.removesuffix("/package.json") for p in paths if p.endswith("/package.json") and "node_modules/" not in p}
    found = {f for f in found if len(f) <= MAX_FOLDER and _PLAIN_FOLDER.fullmatch(f)}
    found = set(sorted(found)[: MAX_LOOKS // (len(wanted) + len(unwanted))])
    members = {f for f in found if any(r.fullmatch(f) for r in wanted) and not any(r.fullmatch(f) for r in unwanted)}
    return sorted(members)[:MAX_WORKSPACES]


def _patterns(package: Package, pnpm_workspace: str) -> tuple[list[re.Pattern[str]], list[re.Pattern[str]]]:
    declared: object = package.data.get("workspaces")
    if isinstance(declared, dict):
        declared = cast("dict[str, Any]", declared).get("packages")
    globs = [g for g in cast("list[object]", declared) if isinstance(g, str)] if isinstance(declared, list) else []
    globs += re.findall(r"^[ \t]*-[ \t]+[\"']?([^\"'#\s]+)", pnpm_workspace, re.MULTILINE)
    globs = [g for g in globs if len(g) <= MAX_PATTERN][:MAX_PATTERNS]
    wanted = [path_pattern(g) for g in globs if not g.startswith("!")]
    return wanted, [path_pattern(g[1:]) for g in globs if g.startswith("!")]
