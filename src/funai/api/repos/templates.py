"""Files that a new repository begins with: the platform's own, or an operator's folder. No Dockerfile is among the platform's.

A Node project without one gets an image composed for what it is at each build; a file laid down here would stand in for that.
"""

from __future__ import annotations

from pathlib import Path

from funai.contracts.apps.buildspec import DOCKERIGNORE
from funai.contracts.errors import ConfigError

MAX_FILES = 50
MAX_BYTES = 256 * 1024
GITIGNORE = """\
# Dependencies, build output and secrets stay out of the repository.
node_modules/
dist/
build/
.next/
.nuxt/
.output/
coverage/
npm-debug.log*
.env
.env.*
!.env.example
.DS_Store
.idea/
.vscode/
"""
OWN = {".gitignore": GITIGNORE.encode(), ".dockerignore": DOCKERIGNORE.encode()}


def template_files(folder: Path | None) -> dict[str, bytes]:
    """Path → contents: the platform's own, where an operator's file of the same path wins. Raises ConfigError."""
    if folder is None:
        return dict(OWN)
    try:
        paths = sorted(p for p in folder.rglob("*") if p.is_file() and ".git" not in p.relative_to(folder).parts)
        if not folder.is_dir():
            raise ConfigError([f"gitea.template-dir: {folder} is not a folder"])
        large = [p for p in paths if p.stat().st_size > MAX_BYTES]
        if len(paths) > MAX_FILES or large:
            what = f"{large[0]} is larger than {MAX_BYTES} bytes" if large else f"{folder} has more than {MAX_FILES} files"
            raise ConfigError([f"gitea.template-dir: {what}"])
        return {**OWN, **{p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}}
    except OSError as e:
        raise ConfigError([f"gitea.template-dir: {folder} can't be read ({e.strerror or e})"]) from e
