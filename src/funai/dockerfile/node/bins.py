"""Which package a program in ``node_modules/.bin`` comes from, and whether ``start`` needs development packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from funai.dockerfile.node.files import ProjectFiles
from funai.dockerfile.node.start import Start, Step

_PROVIDERS = {
    "nest": "@nestjs/cli",
    "react-router": "@react-router/dev",
    "react-router-serve": "@react-router/serve",
    "remix": "@remix-run/dev",
    "remix-serve": "@remix-run/serve",
    "tsc": "typescript",
    "tsnd": "ts-node-dev",
    "babel-node": "@babel/node",
    "run-p": "npm-run-all",
    "run-s": "npm-run-all",
    "dotenv": "dotenv-cli",
    "dotenvx": "@dotenvx/dotenvx",
    "pm2-runtime": "pm2",
    "sirv": "sirv-cli",
    "strapi": "@strapi/strapi",
    "medusa": "@medusajs/cli",
    "directus": "directus",
    "ng": "@angular/cli",
    "vue-cli-service": "@vue/cli-service",
    "nodemon": "nodemon",
    "sequelize": "sequelize-cli",
    "sequelize-cli": "sequelize-cli",
    "typeorm": "typeorm",
    "swc-node": "@swc-node/register",
    "moleculer-runner": "moleculer",
    "nuxi": "nuxi",
    "fastify": "fastify-cli",
    "svelte-kit": "@sveltejs/kit",
    "kysely": "kysely-ctl",
    "drizzle-kit": "drizzle-kit",
    "cross-env": "cross-env",
}
_NO_PACKAGE = frozenset(
    {
        "node",
        "npm",
        "sh",
        "bash",
        "cd",
        "export",
        "echo",
        "true",
        ":",
        "test",
        "[",
        "exec",
        "env",
        "set",
        "unset",
        "printf",
        ".",
        "mkdir",
        "cp",
        "mv",
        "rm",
        "ls",
        "cat",
        "sleep",
        "chmod",
        "touch",
        "ln",
    }
)
_LOADER_FLAGS = ("-r", "--require", "--import", "--loader", "--experimental-loader")
_CONFIGURED = {"next": "next", "vite": "vite", "astro": "astro"}
_IMPORT = re.compile(r"""(?:from\s+|import\s+|require\(\s*|import\(\s*)["']([^"'./][^"']*)["']""")


@dataclass(frozen=True, slots=True)
class Need:
    """Why development packages stay in the image: ``program`` of the start script comes from ``package``."""

    program: str
    package: str | None


def development_need(files: ProjectFiles, start: Start) -> Need | None:
    """The first thing of ``start`` that development packages provide, or that can't be determined; None when there is none."""
    own = {**files.package.dependencies, **files.package.dev_dependencies}
    dev = set(files.package.dev_dependencies).union(*(m.dev_dependencies for m in files.members))
    prod = set(files.package.dependencies).union(*(m.dependencies for m in files.members))
    named = _Named(frozenset(own), frozenset(dev | prod), _locked_bins(files))
    dev -= prod
    if not dev:
        return None
    seen = set[tuple[str, ...]]()
    for step in start.steps:
        told = (step.program, *(step.arguments if step.program == "node" else ()))
        if told in seen:
            continue
        seen.add(told)
        for program, package in _wanted(files, step, named):
            if package in dev or (package not in prod and (package is None or start.opaque)):
                return Need(program, package if package in dev else None)
    return Need(start.script[:80], None) if start.opaque else None


def missing_program(files: ProjectFiles, start: Start) -> Need | None:
    """A program of ``start`` whose package nothing names: people often have such tools installed globally.

    Only programs whose package is known are looked for; without npm's lock file another package may bring one.
    """
    packages = (files.package, *files.members)
    named = set[str]().union(*(p.dependencies for p in packages), *(p.dev_dependencies for p in packages))
    brought = _locked_bins(files)
    for step in () if start.opaque else start.steps:
        package = _PROVIDERS.get(step.program)
        if package and package not in named and step.program not in brought and (brought or not named):
            return Need(step.program, package)
    return None


@dataclass(frozen=True, slots=True)
class _Named:
    """Packages that the root's ``package.json`` names, packages that any member's names, and the lock file's programs."""

    own: frozenset[str]
    anywhere: frozenset[str]
    by_lock: Mapping[str, tuple[str, bool]]


def _wanted(files: ProjectFiles, step: Step, named: _Named) -> Iterable[tuple[str, str | None]]:
    """(program, package) of what a step loads by name; the package is None when it can't be determined."""
    program = step.program
    if program == "node":
        yield from (("node", name) for name in _loaders(step.arguments))
        return
    if not program or program in _NO_PACKAGE or "/" in program or program.startswith("$"):
        return
    package = _PROVIDERS.get(program, program)
    if package not in named.own and program in named.by_lock:
        package, only_dev = named.by_lock[program]
        yield program, (None if only_dev else package) if package not in named.own else package
        if not only_dev:
            return
    elif package in named.anywhere:
        yield program, package
    else:
        yield program, None
    if program == "ts-node" or program == "tsx":
        return
    config = files.config(_CONFIGURED[program]) if program in _CONFIGURED else None
    if config:
        name, text = config
        if name.endswith("ts"):
            yield name, "typescript"
        yield from ((name, _package_of(found)) for found in _IMPORT.findall(text) if not found.startswith("node:"))


def _loaders(arguments: Iterable[str]) -> Iterable[str]:
    """Packages that ``node -r x`` or ``node --import x`` loads before the app."""
    words = list(arguments)
    for number, word in enumerate(words):
        flag, eq, value = word.partition("=")
        if flag in _LOADER_FLAGS:
            value = value if eq else (words[number + 1] if number + 1 < len(words) else "")
            if value and not value.startswith((".", "/", "node:")):
                yield _package_of(value)


def _package_of(specifier: str) -> str:
    parts = specifier.split("/")
    return "/".join(parts[:2]) if specifier.startswith("@") else parts[0]


def _locked_bins(files: ProjectFiles) -> dict[str, tuple[str, bool]]:
    """Program → (package, only for development), of npm's lock file."""
    text = files.texts.get("package-lock.json") or files.texts.get("npm-shrinkwrap.json") or ""
    try:
        loaded: object = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    packages: Any = cast("dict[str, Any]", loaded).get("packages") if isinstance(loaded, dict) else None
    out: dict[str, tuple[str, bool]] = {}
    if not isinstance(packages, dict):
        return out
    for place, about in cast("dict[str, Any]", packages).items():
        if place.count("node_modules/") != 1 or not isinstance(about, dict):
            continue
        facts = cast("dict[str, Any]", about)
        name = place.rpartition("node_modules/")[2]
        bins: object = facts.get("bin")
        for program in cast("dict[str, Any]", bins) if isinstance(bins, dict) else ():
            out.setdefault(str(program), (name, bool(facts.get("dev"))))
    return out
