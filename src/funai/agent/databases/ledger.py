"""Which apps of this node have a database, as far as is known without asking the server.

The server is the truth. The ledger says what to give an app while the server is away, whose databases to measure and back up,
and since when a database looked orphaned.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.apps.databases import Kind


class Known(BaseModel):
    user_id: int
    rotations: dict[Kind, int] = Field(default_factory=dict[Kind, int])


class _Page(BaseModel):
    apps: dict[int, Known] = Field(default_factory=dict[int, Known])
    orphans: dict[str, float] = Field(default_factory=dict[str, float])


class Ledger:
    """One an agent; ``file`` None keeps it in memory."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._page, self._writing = file, _Page(), asyncio.Lock()

    def load(self) -> None:
        if self._file is None or not self._file.exists():
            return
        try:
            self._page = _Page.model_validate_json(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, ValidationError) as e:
            log.get("databases").warning("ledger.unreadable", file=str(self._file), why=str(e)[:200])

    @property
    def apps(self) -> dict[int, Known]:
        return self._page.apps

    def rotation(self, app_id: int, kind: Kind) -> int | None:
        """How often the password was rotated when it was last seen; None for an app that had no database of this kind."""
        known = self._page.apps.get(app_id)
        return known.rotations.get(kind) if known else None

    async def note(self, user_id: int, app_id: int, kind: Kind, rotation: int) -> None:
        if self.rotation(app_id, kind) != rotation:
            self._page.apps.setdefault(app_id, Known(user_id=user_id)).rotations[kind] = rotation
            await self._write()

    async def forget(self, app_id: int, kind: Kind | None = None) -> None:
        known = self._page.apps.get(app_id)
        if known is None:
            return
        if kind is not None:
            known.rotations.pop(kind, None)
        if kind is None or not known.rotations:
            del self._page.apps[app_id]
        await self._write()

    async def seen_orphaned(self, names: set[str], now: float) -> dict[str, float]:
        """Since when each of these has looked orphaned, now included; what is no longer among them is forgotten."""
        since = {name: self._page.orphans.get(name, now) for name in names}
        if since != self._page.orphans:
            self._page.orphans = since
            await self._write()
        return since

    async def _write(self) -> None:
        if self._file is None:
            return
        async with self._writing:
            text = json.dumps(self._page.model_dump(mode="json"))
            try:
                await asyncio.to_thread(_save, self._file, text)
            except OSError as e:
                log.get("databases").warning("ledger.not_written", file=str(self._file), why=str(e))


def _save(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, text)
