"""What the agent needs to make an app's release again when its containers were removed by another hand.

Containers' names and labels stay the truth about what there is; the journal is read only where there is none. One file an
app, mode 0600, the variables sealed with the key file beside them. It also keeps the fence: the newest generation that a
stop or delete was decided for. A rollout of that generation, or an older one, comes too late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from funai.base.config.sealing import SealBroken, Sealer
from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import ConfigError

MAX_DELETED = 1000
"""Deleted apps whose fence is remembered."""


class Wanted(StrEnum):
    SERVING = "serving"
    STOPPED = "stopped"
    DELETED = "deleted"


class Release(BaseModel):
    """A rollout as it was asked for, without its variables; ``env`` holds those sealed."""

    deploy: AgentDeploy
    env: str = ""

    @property
    def generation(self) -> int:
        return self.deploy.generation or 0


class Entry(BaseModel):
    """``releases`` holds two only between the promise of a commit and the next look at the containers."""

    wanted: Wanted = Wanted.SERVING
    fence: int = 0
    releases: list[Release] = Field(default_factory=list[Release])


class Journal:
    """One an agent. ``folder`` None keeps everything in memory. Calls for one app are serialised by the caller."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._entries: dict[int, Entry] = {}
        self._sealer: Sealer | None = None

    def load(self) -> None:
        """Reads what a former life left. A file that can't be read is logged and left. Raises ConfigError."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sealer = Sealer.from_file(self._folder / "key", create=True)
            for file in sorted(self._folder.glob("app-*.json")):
                number = file.stem.removeprefix("app-")
                if number.isdecimal():
                    self._read(int(number), file)
        except OSError as e:
            raise ConfigError([f"RUNTIME_STATE_DIR {self._folder} can't be used: {e.strerror or e}"]) from e

    def _read(self, app_id: int, file: Path) -> None:
        try:
            self._entries[app_id] = Entry.model_validate_json(file.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as e:
            log.get("journal").warning("journal.unreadable", file=str(file), why=str(e)[:200])

    # -- questions --------------------------------------------------------------------------------------------------

    def fence(self, app_id: int) -> int:
        entry = self._entries.get(app_id)
        return entry.fence if entry else 0

    def serving(self) -> list[int]:
        """Apps that should be served."""
        return [app_id for app_id, entry in self._entries.items() if entry.wanted is Wanted.SERVING and entry.releases]

    def knows(self, app_id: int) -> bool:
        entry = self._entries.get(app_id)
        return entry is not None and entry.wanted is not Wanted.DELETED

    def user(self, app_id: int) -> int:
        """The app's owner; 0 when no release is known."""
        entry = self._entries.get(app_id)
        return int(entry.releases[-1].deploy.user_id) if entry and entry.releases else 0

    def generation(self, app_id: int) -> int | None:
        """The generation of ``release``."""
        entry = self._entries.get(app_id)
        return max((r.generation for r in entry.releases), default=None) if entry else None

    def release(self, app_id: int) -> AgentDeploy | None:
        """The newest release with its variables; None when there is none, or its variables can't be opened."""
        entry = self._entries.get(app_id)
        if entry is None or not entry.releases:
            return None
        newest = max(entry.releases, key=lambda r: r.generation)
        try:
            env = self._sealer.open(newest.env) if newest.env and self._sealer else newest.deploy.env
        except SealBroken:
            log.get("journal").warning("journal.sealed_otherwise", app_id=app_id)
            return None
        return newest.deploy.model_copy(update={"env": env})

    # -- changes ----------------------------------------------------------------------------------------------------

    async def promise(self, app_id: int, deploy: AgentDeploy) -> None:
        """A commit is about to make this release the app. It is written before, so that no crash leaves an older one."""
        entry = self._entries.setdefault(app_id, Entry(wanted=Wanted.STOPPED))
        others = [r for r in entry.releases if r.generation != deploy.generation]
        entry.releases = [*others[-1:], self._sealed(deploy)]
        await self._write(app_id)

    def _sealed(self, deploy: AgentDeploy) -> Release:
        if self._sealer is None:
            return Release(deploy=deploy)
        return Release(deploy=deploy.model_copy(update={"env": None}), env=self._sealer.seal(deploy.env or {}))

    async def settle(self, app_id: int, generation: int, wanted: Wanted) -> None:
        """The containers show this generation, and that it is wanted so. Writes only what changed."""
        entry = self._entries.get(app_id)
        if entry is None:
            return
        kept = [r for r in entry.releases if r.generation == generation]
        if entry.wanted is wanted and len(kept) == len(entry.releases):
            return
        entry.wanted, entry.releases = wanted, kept
        await self._write(app_id)

    async def stop(self, app_id: int, generation: int | None) -> None:
        entry = self._entries.setdefault(app_id, Entry())
        entry.wanted, entry.fence = Wanted.STOPPED, max(entry.fence, generation or 0)
        await self._write(app_id)

    async def forget(self, app_id: int, generation: int | None) -> None:
        """The app is deleted; only its fence is kept."""
        known = self._entries.pop(app_id, None)
        fence = max(known.fence if known else 0, generation or 0)
        if fence:
            self._entries[app_id] = Entry(wanted=Wanted.DELETED, fence=fence)
            await self._write(app_id)
        elif known:
            await asyncio.to_thread(self._unlink, [app_id])
        deleted = [i for i, entry in self._entries.items() if entry.wanted is Wanted.DELETED]
        await self._drop(deleted[:-MAX_DELETED])

    async def _drop(self, app_ids: Iterable[int]) -> None:
        gone = list(app_ids)
        for app_id in gone:
            self._entries.pop(app_id, None)
        if gone:
            await asyncio.to_thread(self._unlink, gone)

    def _unlink(self, app_ids: Iterable[int]) -> None:
        for app_id in app_ids:
            if self._folder:
                self._file(self._folder, app_id).unlink(missing_ok=True)

    async def _write(self, app_id: int) -> None:
        """A disk that takes nothing stops no rollout: the app runs, and is only not brought back by itself."""
        if self._folder is None:
            return
        text, file = self._entries[app_id].model_dump_json(), self._file(self._folder, app_id)
        try:
            await asyncio.to_thread(write_whole, file, text)
        except OSError as e:
            log.get("journal").warning("journal.not_written", app_id=app_id, why=str(e))

    @staticmethod
    def _file(folder: Path, app_id: int) -> Path:
        return folder / f"app-{app_id}.json"
