"""A build script without the package manager around it, whose own start takes longer than many a build's change.

Only chains of tools that are known to ask nothing of what a manager sets; all others are run by the manager.
"""

from __future__ import annotations

import re
import shlex

from funai.dockerfile.node.files import ProjectFiles
from funai.dockerfile.node.start import read_start

MAX_SCRIPT = 500
_PRINTABLE = re.compile(r"[ -~]+")
_TOOLS = frozenset(
    {
        "astro",
        "cp",
        "echo",
        "esbuild",
        "mkdir",
        "next",
        "node",
        "nuxi",
        "nuxt",
        "prisma",
        "react-router",
        "react-scripts",
        "rimraf",
        "rm",
        "rollup",
        "svelte-kit",
        "tsc",
        "tsup",
        "vite",
        "vue-tsc",
        "webpack",
    }
)


def direct_build(files: ProjectFiles) -> str | None:
    """A command of one shell that does what ``npm run build`` does, below the project's folder; None where npm is needed."""
    script = files.package.scripts.get("build")
    if script is None:
        return None
    read = read_start(files, script, name="build")
    known = all(step.program in _TOOLS and not step.folder for step in read.steps)
    if not (read.plain and known) or read.opaque or read.managers:
        return None
    command = read.shell()
    if len(command) > MAX_SCRIPT or not _PRINTABLE.fullmatch(command):
        return None
    told = {"INIT_CWD": "/app", "npm_lifecycle_event": "build", **package_variables(files)}
    words = " ".join(f"{name}={quoted(value)}" for name, value in told.items())
    return f"{words} PATH=/app/node_modules/.bin:$PATH sh -c {shlex.quote(command)}"


def package_variables(files: ProjectFiles) -> dict[str, str]:
    """What package managers tell scripts of the package itself."""
    return {f"npm_package_{k}": v for k in ("name", "version") if isinstance(v := files.package.data.get(k), str)}


def quoted(value: str) -> str:
    """A value that no builder and no shell expands: anything unusual in it is left out."""
    return "".join(c for c in value if c.isalnum() or c in "._-@/+:")[:200] or '""'
