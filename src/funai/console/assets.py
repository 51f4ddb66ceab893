"""The console's own files: addressed by content, so that browsers may keep them for good."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.responses import FileResponse, Response

STATIC = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
MARK_LENGTH = 12


@lru_cache(maxsize=1)
def content_mark() -> str:
    """A short hash of all files: one for all, so that what a module imports by its name is kept like the module itself."""
    found = hashlib.sha256()
    for name in sorted(_files()):
        content = (STATIC / name).read_bytes()
        found.update(f"{name} {len(content)}\n".encode() + content)
    return found.hexdigest()[:MARK_LENGTH]


def asset_url(name: str) -> str:
    """The address of a file, which changes with the files' content."""
    return f"/static/{content_mark()}/{name}"


def known_files() -> frozenset[str]:
    """Every file that may be served, relative to the static folder."""
    return frozenset(str(p.relative_to(STATIC)) for p in STATIC.rglob("*") if p.is_file() and p.suffix in TYPES)


def serve(mark: str, name: str) -> Response:
    """A file by name; an outdated mark gets the current content, and may not be kept."""
    if name not in _files():
        return Response(status_code=404)
    caching = FOREVER if mark == content_mark() else "no-cache"
    return FileResponse(STATIC / name, media_type=TYPES[Path(name).suffix], headers={"Cache-Control": caching})


@lru_cache(maxsize=1)
def _files() -> frozenset[str]:
    return known_files()


@dataclass(frozen=True, slots=True)
class Vendored:
    """A file that others wrote, as ``static/vendor/vendor.toml`` lists it."""

    file: str
    package: str
    version: str
    license: str
    sha256: str


def vendored() -> list[Vendored]:
    """The list of vendored files."""
    listed = tomllib.loads((STATIC / "vendor" / "vendor.toml").read_text())["files"]
    return [Vendored(**entry) for entry in listed]
