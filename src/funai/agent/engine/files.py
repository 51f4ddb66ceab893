"""The beginning of a file, out of the tar in which engines send what lies in a container."""

from __future__ import annotations

import io
import posixpath
import tarfile
from dataclasses import dataclass

from funai.agent.engine.client import AGAIN, OnEngine
from funai.agent.engine.contract import EngineRefused, FileHead, NoSuchContainer
from funai.base.retry import retrying

HEAD_BYTES = 4096
ENOUGH = 16 * 1024
"""Bytes of an archive that hold its first header, extended ones too, and the head of its first file."""
MAX_LINKS = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """The first entry of an archive. ``target`` is where a symbolic link leads."""

    head: FileHead | None = None
    target: str = ""


def first(archive: bytes, path: str) -> Entry:
    """The first entry of an archive of which ``ENOUGH`` bytes suffice; an empty one when it is no file and no link."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            found = tar.next()
    except (tarfile.TarError, OSError):
        return Entry()
    if found is None:
        return Entry()
    if found.issym():
        return Entry(target=posixpath.normpath(posixpath.join(posixpath.dirname(path), found.linkname)))
    if not found.isreg():
        return Entry()
    begin = found.offset_data
    return Entry(FileHead(path, found.mode & 0o7777, archive[begin : begin + min(found.size, HEAD_BYTES)]))


class DockerFiles(OnEngine):
    async def read_file(self, id: str, path: str) -> FileHead | None:
        for _ in range(MAX_LINKS):
            entry = await self._first_entry(id, path)
            if not entry.target:
                return entry.head
            path = entry.target
        return None

    async def _first_entry(self, id: str, path: str) -> Entry:
        """Podman refuses while it restarts the container, or sends nothing when its mount goes meanwhile: it is asked again."""

        async def look() -> Entry:
            archive = bytearray()
            async for piece in self._client.stream("GET", f"containers/{id}/archive", {"path": path}):
                archive += piece
                if len(archive) >= ENOUGH:
                    break
            if not archive:
                raise EngineRefused(f"no archive of {path}")
            return first(bytes(archive), path)

        try:
            return await retrying(look, on=EngineRefused, when=lambda e: not isinstance(e, NoSuchContainer), **AGAIN)
        except NoSuchContainer:
            return Entry()
