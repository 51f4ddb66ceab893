"""What a project's tools keep from one build for the next, and the mounts of the app's own that hold it.

The engine keeps a mount's files beside the image, so none of them is in a layer; where builds of several apps share one
folder for them, no mount may be used: one app could read or poison what another's build takes.
"""

from __future__ import annotations

from funai.dockerfile.node.files import Package, ProjectFiles
from funai.dockerfile.node.managers import Kind

BUILD_CACHES = (".next/cache", "node_modules/.cache", "node_modules/.vite", ".nuxt/cache", ".svelte-kit/cache")
"""What builds write for the next build: no part of an image."""
PACKAGES, BUILD = "/var/cache/funai-packages", "/var/cache/funai-build"
"""Where the mounts are: one is for the install step alone and one for the build's, since steps that share a mount have no
layer cache."""
_OF_PACKAGE = {
    "next": ".next/cache",
    "nuxt": ".nuxt/cache",
    "astro": "node_modules/.astro",
    "@angular/cli": ".angular/cache",
    "parcel": ".parcel-cache",
    "turbo": ".turbo/cache",
}
"""Cache folders that exist only where the package is used."""
_ALWAYS = ("node_modules/.cache", "node_modules/.vite")


def mount(target: str) -> str:
    """The flag of ``RUN``, with a blank behind it."""
    return f"--mount=type=cache,id={target.rpartition('/')[2]},target={target} "


def package_cache(kind: Kind) -> str:
    """Shell text that points the package manager's cache at the mount."""
    names = {
        Kind.NPM: ("npm_config_cache",),
        Kind.PNPM: ("npm_config_store_dir", "pnpm_config_store_dir"),
        Kind.YARN: ("YARN_CACHE_FOLDER",),
        Kind.BERRY: ("YARN_GLOBAL_FOLDER",),
        Kind.BUN: ("BUN_INSTALL_CACHE_DIR",),
    }[kind]
    return f"export {' '.join(f'{name}={PACKAGES}/{kind.value}' for name in names)}; "


def folders(files: ProjectFiles) -> list[str]:
    """The cache folders of the project and its workspaces, relative to its root."""
    found = [*_ALWAYS, *_used(files.package)]
    found += [f"{member.folder}/{folder}" for member in files.members for folder in _used(member)]
    return list(dict.fromkeys(found))


def _used(package: Package) -> list[str]:
    known = {**package.dependencies, **package.dev_dependencies}
    return [folder for name, folder in _OF_PACKAGE.items() if name in known]


def linked(files: ProjectFiles) -> list[str]:
    """Steps before the build: each cache folder is a link into the mount.

    A folder that the repository brings stays as it is.
    """
    places = [(folder, f"{BUILD}/{folder.replace('/', '_')}") for folder in folders(files)]
    parents = sorted({folder.rpartition("/")[0] for folder, _ in places if "/" in folder})
    kept = " ".join(kept for _, kept in places)
    links = "; ".join(f"[ -e {folder} ] || ln -s {kept} {folder}" for folder, kept in places)
    return [f"mkdir -p {' '.join([*parents, kept])}", f"{{ {links}; }}"]


def unlinked(files: ProjectFiles, *, mounted: bool) -> list[str]:
    """What a finished build takes out of the project: the links, or the caches themselves."""
    return list(dict.fromkeys([*BUILD_CACHES, *(folders(files) if mounted else ())]))
