"""The start command of a project that names none: what its framework's build leaves, or its own main file.

Templates of Nuxt, SvelteKit and Astro have no ``start`` script; their documentation names these commands.
"""

from __future__ import annotations

import posixpath
import re
import shlex

from funai.dockerfile.node.files import Package, ProjectFiles
from funai.dockerfile.node.static import generates, renders_on_a_server, site_of

_OF_FRAMEWORK = {
    "@sveltejs/adapter-node": "node build",
    "@astrojs/node": "node ./dist/server/entry.mjs",
    "@react-router/serve": "react-router-serve ./build/server/index.js",
    "@remix-run/serve": "remix-serve ./build/server/index.js",
    "next": "next start",
    "nuxt": "node .output/server/index.mjs",
    "@nestjs/core": "node dist/main",
}
"""By the package that makes the server, for projects with a ``build`` script."""


def start_script(files: ProjectFiles) -> str | None:
    """The project's own ``start``, its ``Procfile``'s ``web``, npm's default, its framework's command, its main file, or the
    ``start`` of the one workspace that has one; None for a static site.
    """
    scripts = files.package.scripts
    if (own := scripts.get("start")) is not None:
        return own or None
    if web := re.search(r"^web:[ \t]*(\S.*)", files.texts.get("Procfile", ""), re.MULTILINE):
        return web[1].strip()
    if files.has("server.js"):
        return "node server.js"
    if "start:prod" in scripts:
        return scripts["start:prod"]
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    if "build" in scripts and not generates(files):
        for package, command in _OF_FRAMEWORK.items():
            if package in known and (package != "@astrojs/node" or renders_on_a_server(files)):
                return command
    if site_of(files, None):
        return None
    member = only_member(files)
    return _main_file(files) or (member_start(member) if member else None)


def only_member(files: ProjectFiles) -> Package | None:
    """The one workspace that has a start script; None when there is none or a choice."""
    found = [member for member in files.members if member.scripts.get("start")]
    return found[0] if len(found) == 1 else None


def member_start(member: Package) -> str:
    return f"npm --prefix {member.folder} start"


def _main_file(files: ProjectFiles) -> str | None:
    main = files.package.data.get("main")
    if not isinstance(main, str) or not main.endswith((".js", ".mjs", ".cjs")):
        return None
    path = posixpath.normpath(main)
    return f"node {shlex.quote(path)}" if files.has(path) and not path.startswith("-") else None
