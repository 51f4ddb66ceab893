"""Backups of apps' databases: one file each in a folder of the app's, whole or not there, the oldest go first.

``{folder}/u{user}-a{app}/{kind}-{time}.dump``, mode 0600. An app is found under its owner, so a backup is never another
user's; those of a deleted app stay until the operator or their number ends them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

from funai.agent.databases.contract import AppKey, Driver
from funai.contracts.apps.databases import Backup, Kind

READ = 256 * 1024
MIN_FREE = 256 << 20
"""Bytes that a backup leaves free on its disk."""
_FILE = re.compile(r"(?P<name>(?P<kind>mongo|postgres)-(?P<at>\d{8}T\d{9}Z))\.dump")
_TIME = "%Y%m%dT%H%M%S%f"


class Backups:
    def __init__(self, folder: Path | None, keep: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder, self.keep, self._now = folder, keep, now
        self.min_free = MIN_FREE

    def of(self, user_id: int, app_id: int) -> list[Backup]:
        """Newest first."""
        found = [b for f in self._files(user_id, app_id) if (b := _backup(f, app_id))]
        return sorted(found, key=lambda b: b.created_at, reverse=True)

    def file(self, user_id: int, app_id: int, kind: Kind, name: str | None) -> Path | None:
        """The named backup of that kind, or the newest; None when there is none."""
        for backup in self.of(user_id, app_id):
            if backup.kind is kind and name in (None, backup.name):
                return self._of(user_id, app_id) / f"{backup.name}.dump"
        return None

    async def make(self, driver: Driver, app: AppKey) -> Backup:
        """Raises DatabaseError, OSError. A file that did not become whole is removed."""
        folder = self._of(app.user_id, app.app_id)
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        stamp = f"{self._now().strftime(_TIME)[:-3]}Z"
        file = folder / f"{driver.kind}-{stamp}.dump"
        scratch = file.with_suffix(".part")
        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                async for piece in driver.dump(app):
                    self._check_room(folder)
                    await asyncio.to_thread(out.write, piece)
                await asyncio.to_thread(_flush, out.fileno(), out.flush)
            scratch.replace(file)
        finally:
            scratch.unlink(missing_ok=True)
        self._thin(app.user_id, app.app_id, driver.kind)
        made = _backup(file, app.app_id)
        assert made is not None
        return made

    def newest(self, user_id: int, app_id: int, kind: Kind) -> datetime | None:
        return next((b.created_at for b in self.of(user_id, app_id) if b.kind is kind), None)

    def _thin(self, user_id: int, app_id: int, kind: Kind) -> None:
        mine = [b for b in self.of(user_id, app_id) if b.kind is kind]
        for old in mine[self.keep :]:
            (self._of(user_id, app_id) / f"{old.name}.dump").unlink(missing_ok=True)

    def _of(self, user_id: int, app_id: int) -> Path:
        if self.folder is None:
            raise FileNotFoundError(2, "no folder for backups: set RUNTIME_BACKUP_DIR", "RUNTIME_BACKUP_DIR")
        return self.folder / f"u{user_id}-a{app_id}"

    def _files(self, user_id: int, app_id: int) -> list[Path]:
        if self.folder is None:
            return []
        folder = self._of(user_id, app_id)
        return list(folder.iterdir()) if folder.is_dir() else []

    def _check_room(self, folder: Path) -> None:
        """Raises OSError before the disk is full: the agent's state and the containers may be on it."""
        if shutil.disk_usage(folder).free < self.min_free:
            raise OSError(errno.ENOSPC, f"less than {self.min_free >> 20} MiB are free", str(self.folder))


async def chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as f:
        while piece := await asyncio.to_thread(f.read, READ):
            yield piece


def _flush(fd: int, flush: Callable[[], None]) -> None:
    flush()
    os.fsync(fd)


def _backup(file: Path, app_id: int) -> Backup | None:
    found = _FILE.fullmatch(file.name)
    if not found:
        return None
    at = datetime.strptime(f"{found['at'][:-1]}000", _TIME).replace(tzinfo=UTC)
    size = file.stat().st_size
    return Backup(name=found["name"], kind=Kind(found["kind"]), size_bytes=size, created_at=at, app_id=app_id)
