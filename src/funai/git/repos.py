"""Bare repositories on disk: made with the app, removed with it, never reachable by a path that a client chooses."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from funai.base.process.proc import Command, run
from funai.contracts.errors import BadInput, CalleeFailed
from funai.contracts.reasons import Reason

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}/[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
DEFAULT_BRANCH = "main"
ABANDONED_SECONDS = 24 * 3600


def check_repo(repo: str) -> str:
    """``owner/name`` without ``.git``; raises BadInput for anything that could be a path elsewhere."""
    if not _NAME.fullmatch(repo) or ".." in repo or repo.endswith(".git"):
        raise BadInput(Reason.NOT_FOUND)
    return repo


class BareRepositories:
    """The repository host of one machine (the API's ``RepoHost``)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, repo: str) -> Path:
        """Where ``owner/name`` lives, whether or not it exists. Raises BadInput."""
        return self.root / f"{check_repo(repo)}.git"

    async def ensure(self, repo: str) -> None:
        """Made aside and renamed into place, so that a half-made repository is never seen."""
        target = self.path(repo)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
        try:
            argv = ("git", "init", "--quiet", "--bare", f"--initial-branch={DEFAULT_BRANCH}", "--template=", str(aside))
            done = await run(Command(argv), timeout=30)
            if done.code != 0:
                raise CalleeFailed(service="git", detail=done.error_text[-300:])
            try:
                os.rename(aside, target)
            except OSError:
                if not target.exists():
                    raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    async def grant(self, repo: str, account: str | None) -> None:
        """Nothing is kept here: the server asks the API at every operation who may do it."""

    async def webhook(self, repo: str) -> None:
        """Nothing is kept here: the server itself tells the API of every push."""

    async def repositories(self, owner: str) -> list[str]:
        return [repo for repo in await self.everything() if repo.startswith(f"{owner}/")]

    async def everything(self) -> list[str]:
        """``owner/name`` of every repository."""
        return await asyncio.to_thread(lambda: [f"{p.parent.name}/{p.stem}" for p in self.root.glob("[!.]*/*.git")])

    async def close(self) -> None:
        """No connection is held."""

    async def delete(self, repo: str) -> None:
        """Renamed aside first: the name is free at once, whatever the removal takes."""
        target = self.path(repo)
        if not target.exists():
            return
        aside = Path(tempfile.mkdtemp(prefix=".old-", dir=self.root))
        os.rename(target, aside / "repo.git")
        await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)

    async def size(self, repo: str) -> int:
        """Bytes on disk."""
        return await asyncio.to_thread(_tree_size, self.path(repo))

    async def branches(self, repo: str) -> list[str]:
        """Branch names, at most 100."""
        argv = (
            "git",
            "--git-dir",
            str(self.path(repo)),
            "for-each-ref",
            "--count=100",
            "--format=%(refname:short)",
            "refs/heads",
        )
        done = await run(Command(argv), timeout=10)
        return done.text.split() if done.code == 0 else []

    def sweep(self) -> None:
        """Remove what an earlier life left aside."""
        self.root.mkdir(parents=True, exist_ok=True)
        for left in [*self.root.glob(".new-*"), *self.root.glob(".old-*")]:
            shutil.rmtree(left, ignore_errors=True)
        for left in self.root.glob("*/*.git/objects/tmp_objdir-*"):
            # A push that is still going on is younger.
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)


def _tree_size(root: Path) -> int:
    total = 0
    for folder, _, files in os.walk(root):
        for name in files:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue
    return total
