"""Debian packages that a project's dependencies need and the slim Node image lacks."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from funai.dockerfile.node.files import ProjectFiles

OPENSSL = ("openssl", "ca-certificates")
COMPILERS = ("python3", "make", "g++")
_PRISMA = ("prisma", "@prisma/client")
_ENGINELESS = 7
"""The first Prisma whose client has no engine of its own; its migrations have one still."""
_MIGRATES = re.compile(r"\bprisma\s+(migrate|db)\b")
_COMPILED = frozenset(
    {
        "argon2",
        "bcrypt",
        "better-sqlite3",
        "bufferutil",
        "canvas",
        "cpu-features",
        "isolated-vm",
        "kerberos",
        "libxmljs",
        "libxmljs2",
        "node-expat",
        "node-pty",
        "node-sass",
        "re2",
        "robotjs",
        "serialport",
        "sqlite3",
        "usb",
        "utf-8-validate",
        "zeromq",
    }
)
"""Packages that fetch a binary when they are installed (most from GitHub), and compile one where they can't."""


def run_time_packages(files: ProjectFiles) -> tuple[str, ...]:
    """What the app and its build load: Prisma's engines choose their binary by the system's OpenSSL, and need it."""
    return OPENSSL if _prisma_with_engine(files) else ()


def uses_prisma(files: ProjectFiles) -> bool:
    return any(name in _named(files) for name in _PRISMA)


def may_compile(files: ProjectFiles) -> bool:
    """Whether an install that failed is worth another with compilers: a dependency, of whatever depth, may need them."""
    return not _COMPILED.isdisjoint(_named(files)) or not _COMPILED.isdisjoint(_locked(files))


def _prisma_with_engine(files: ProjectFiles) -> bool:
    named, locked = _named(files), _locked(files)
    found = [locked.get(name) or named[name] for name in _PRISMA if name in named]
    if any((major := _major(version)) is None or major < _ENGINELESS for version in found):
        return True
    scripts = [script for package in (files.package, *files.members) for script in package.scripts.values()]
    return bool(found) and any(map(_MIGRATES.search, scripts))


def _major(version: str) -> int | None:
    """Of a version or range; None for one without a number (``latest``)."""
    match = re.search(r"\d{1,9}", version)
    return int(match[0]) if match else None


def _named(files: ProjectFiles) -> dict[str, str]:
    """Version by name of every dependency that a package.json of the project names."""
    found: dict[str, str] = {}
    for package in (files.package, *files.members):
        found |= {**package.dependencies, **package.dev_dependencies}
    return found


def _locked(files: ProjectFiles) -> dict[str, str]:
    """Version by name, of npm's lock file."""
    text = files.texts.get("package-lock.json") or files.texts.get("npm-shrinkwrap.json") or ""
    try:
        loaded: object = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    packages: Any = cast("dict[str, Any]", loaded).get("packages") if isinstance(loaded, dict) else None
    if not isinstance(packages, dict):
        return {}
    found: dict[str, str] = {}
    for place, about in cast("dict[str, Any]", packages).items():
        name = place.rpartition("node_modules/")[2]
        version: Any = cast("dict[str, Any]", about).get("version") if isinstance(about, dict) else None
        if isinstance(version, str):
            found.setdefault(name, version)
    return found
