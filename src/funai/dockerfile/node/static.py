"""Sites without a server of their own: what their build writes is served by the platform's small static server."""

from __future__ import annotations

import re
from dataclasses import dataclass

from funai.dockerfile.node.files import ProjectFiles, page_folder
from funai.dockerfile.node.start import Start, Step

_DEV_SERVERS: dict[str, tuple[str, ...]] = {
    "vite": ("", "dev", "serve", "preview"),
    "react-scripts": ("start",),
    "craco": ("start",),
    "ng": ("serve",),
    "astro": ("dev", "preview", "start"),
    "vue-cli-service": ("serve",),
    "gatsby": ("develop", "serve"),
    "parcel": ("", "serve"),
    "webpack": ("serve",),
    "webpack-dev-server": ("",),
    "docusaurus": ("start", "serve"),
    "rsbuild": ("dev", "preview"),
    "umi": ("dev",),
    "vitepress": ("dev", "preview"),
    "nuxt": ("preview",),
    "nuxi": ("preview",),
}
"""Programs (and their first word) that only serve a static site while it is being written or looked at."""
_BUILD_COMMANDS = {
    "vite": "vite build",
    "react-scripts": "react-scripts build",
    "astro": "astro build",
}
"""By the program that serves a site while it is being written; its package has the same name."""
_FILE_SERVERS = {"serve": "serve", "http-server": "http-server", "sirv": "sirv-cli", "live-server": "live-server"}
"""By program, the package that brings it."""
_BUILDERS = (
    "vite",
    "react-scripts",
    "@craco/craco",
    "astro",
    "@angular/cli",
    "@vue/cli-service",
    "gatsby",
    "parcel",
    "@docusaurus/core",
    "@rsbuild/core",
    "vitepress",
    "@11ty/eleventy",
    "@sveltejs/adapter-static",
)
_SERVER_ADAPTERS = re.compile(r"^@astrojs/(node|vercel|netlify|cloudflare|deno)$|^@sveltejs/adapter-(node|auto)$")
_GENERATES = re.compile(r"\b(?:nuxt|nuxi)\s+generate\b")
_GENERATED = ".output/public"
"""Where Nuxt writes a static site; its ``dist`` is only a link there."""
OUTPUTS = (
    "dist",
    "build",
    "out",
    "dist/client",
    "build/client",
    ".output/public",
    "public",
    "_site",
    "docs/.vitepress/dist",
    ".vitepress/dist",
)


@dataclass(frozen=True, slots=True)
class Site:
    """``folders``: where the built site may be, most likely first; ``instead_of``: a development server that it replaces."""

    folders: tuple[str, ...]
    instead_of: str | None = None
    pages: str | None = None
    """The repository's own folder that is the site as it stands; None for one that is built."""
    command: str | None = None
    """What builds it, where no ``build`` script does."""


def site_of(files: ProjectFiles, start: Start | None) -> Site | None:
    """The static site that a project builds, or None when it has a server."""
    if "build" not in files.package.scripts:
        return _without_build_script(files, start)
    exported = _exported(files)
    if start is None:
        if generates(files):
            return Site((_GENERATED, *(o for o in _folders(files, exported) if o != _GENERATED)))
        return Site(_folders(files, exported)) if exported or _builds_a_site(files) else None
    main = start.main
    if main is None or len(start.steps) > 1:
        return None
    if exported and main.program == "next" and main.arguments[:1] == ("start",):
        return Site(("out",), start.script)
    if renders_on_a_server(files) or not (_looks_at_a_site(main) or _serves_files(files, main)):
        return None
    return Site(tuple(dict.fromkeys((*_served_folder(main), *_folders(files, exported)))), start.script)


def _without_build_script(files: ProjectFiles, start: Start | None) -> Site | None:
    """A project that only knows its development server is built by that tool's own command; one whose file server no package
    brings (``npx serve``) is served as it stands.
    """
    main = start.main if start and len(start.steps) == 1 else None
    if start and main and _serves_files(files, main):
        folder = next(iter(_served_folder(main)), None) or page_folder(files.paths)
        return None if folder is None else Site((folder.rstrip("/"),), start.script, pages=folder)
    command = _BUILD_COMMANDS.get(main.program) if main else None
    if start is None or main is None or command is None or not _looks_at_a_site(main) or renders_on_a_server(files):
        return None
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    return Site(_folders(files, False), start.script, command=command) if main.program in known else None


def _serves_files(files: ProjectFiles, step: Step) -> bool:
    """Whether a step is a server of files that no package brings: it would be fetched at every start."""
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    return step.program in _FILE_SERVERS and _FILE_SERVERS[step.program] not in known


def _served_folder(step: Step) -> tuple[str, ...]:
    """The folder that a file server's command names, as far as it is a plain one."""
    if step.program not in _FILE_SERVERS:
        return ()
    words = [w.removeprefix("./").rstrip("/") for w in step.arguments if not w.startswith("-")]
    return tuple(w for w in words[:1] if re.fullmatch(r"[\w.-]+(/[\w.-]+)*", w, re.ASCII) and ".." not in w and w != ".")


def pages_of(files: ProjectFiles) -> Site | None:
    """The site of a repository that has pages and neither a program nor a build."""
    folder = page_folder(files.paths)
    if folder is None or files.package.dependencies or files.package.scripts.get("build"):
        return None
    return Site((folder.rstrip("/"),), pages=folder)


def generates(files: ProjectFiles) -> bool:
    """Whether the build is Nuxt's of a static site."""
    return bool(_GENERATES.search(files.package.scripts.get("build", "")))


def _exported(files: ProjectFiles) -> bool:
    config = files.config("next")
    return bool(config and re.search(r"""\boutput\s*:\s*["']export["']""", config[1]))


def _looks_at_a_site(step: Step) -> bool:
    words = _DEV_SERVERS.get(step.program)
    first = next((a for a in step.arguments if not a.startswith("-")), "")
    return words is not None and (first in words or ("" in words and first not in ("build", "preview")))


def _builds_a_site(files: ProjectFiles) -> bool:
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    return any(name in known for name in _BUILDERS) and not renders_on_a_server(files)


def renders_on_a_server(files: ProjectFiles) -> bool:
    """Whether a builder of sites builds a server here: by its packages, and by Astro's configuration where there is one."""
    known = {**files.package.dependencies, **files.package.dev_dependencies}
    adapted = any(map(_SERVER_ADAPTERS.match, known))
    config = files.config("astro")
    if config and not re.search(r"\badapter\s*:", config[1]):
        adapted = False
    return adapted or any(name in known for name in ("@react-router/dev", "@remix-run/dev", "@tanstack/react-start", "vinxi"))


def _folders(files: ProjectFiles, exported: bool) -> tuple[str, ...]:
    """Folders to look in; one that the configuration names comes first."""
    found = ["out"] if exported else []
    for framework in ("vite", "astro"):
        config = files.config(framework)
        match = re.search(r"""\boutDir\s*:\s*["']([\w./-]{1,100})["']""", config[1]) if config else None
        if match and ".." not in match[1] and not match[1].startswith("/"):
            found.append(match[1].removeprefix("./").rstrip("/"))
    return (*found, *(o for o in OUTPUTS if o not in found))
