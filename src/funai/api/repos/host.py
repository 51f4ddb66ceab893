"""Where apps' source repositories live, as the API sees it: the built-in Git server's folder, or a forge."""

from __future__ import annotations

from typing import Protocol


class RepoHost(Protocol):
    """``repo`` is ``owner/name`` without ``.git``. Both calls are idempotent and may run concurrently.

    They raise ``CalleeFailed`` when the host can't be reached; the caller may retry.
    """

    async def create(self, repo: str) -> None:
        """Make an empty bare repository whose default branch is ``main``; an existing one is left alone."""
        ...

    async def delete(self, repo: str) -> None:
        """Remove the repository with all its history; a missing one is fine."""
        ...
