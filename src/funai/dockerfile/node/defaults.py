"""The start command of a project that names none: what its framework's build leaves, or its own main file.

Templates of Nuxt, SvelteKit and Astro have no ``start`` script; their documentation names these commands.
"""

from __future__ import annotations

import posixpath
import shlex

from funai.dockerfile.node.files import ProjectFiles
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
    """The project's own ``start``, npm's default, its framework's command or its main file; None for a static site."""
    scripts = files.package.scripts
    if (own := scripts.get("start")) is not None:
        return own or None
    if files.has("server.js"):
        return "node server.js"
    if "start:prod" in scripts:
        return scripts["start:prod"]
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    if "build" in scripts and not generates(files):
        for package, command in _OF_FRAMEWORK.items():
            if package in known and (package != "@astrojs/node" or renders_on_a_server(files)):
                return command
    return None if site_of(files, None) else _main_file(files)


def _main_file(files: ProjectFiles) -> str | None:
    main = files.package.data.get("main")
    if not isinstance(main, str) or not main.endswith((".js", ".mjs", ".cjs")):
        return None
    path = posixpath.normpath(main)
    return f"node {shlex.quote(path)}" if files.has(path) and not path.startswith("-") else None
