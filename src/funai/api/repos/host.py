"""Where apps' source repositories live, as the API sees it. Drivers: the built-in Git server's folder, and ``gitea``.

Contract of a driver:

* ``repo`` is ``owner/name`` without ``.git``.
* For one repository the calls come in this order: ``ensure``, ``grant``, ``webhook``; later ``delete``. After a failure the
  whole order is run again.
* Each call is idempotent. Calls for different repositories may run concurrently, and so may two runs for the same one.
* A call that is cancelled leaves nothing that the next run does not complete.
* They raise RepoHostFailed, with what is wrong and whose it is to correct, or OSError; the caller may retry.
"""

from __future__ import annotations

from typing import Protocol

from funai.contracts.errors import CalleeFailed
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words


class RepoHostFailed(CalleeFailed):
    """``detail`` is for the app's owner; ``cause`` has the technical part, for the log."""

    default_reason = Reason.REPO_HOST_FAILED

    def __init__(self, detail: Words) -> None:
        super().__init__(detail=detail)


class RepoHost(Protocol):
    async def ensure(self, repo: str) -> None:
        """Make the private repository, with ``main`` as its default branch; one that is there keeps what it has."""
        ...

    async def grant(self, repo: str, account: str | None) -> None:
        """Let the Runner read the repository, and the platform's editors and the owner's own ``account`` write to it."""
        ...

    async def webhook(self, repo: str) -> None:
        """Ensures that the API is notified of every push."""
        ...

    async def delete(self, repo: str) -> None:
        """Remove the repository with all its history; a missing one is fine."""
        ...

    async def repositories(self, owner: str) -> list[str]:
        """Every repository of this owner, ``owner/name``, the platform's and others; it may be some minutes old."""
        ...

    async def close(self) -> None:
        """Release connections; the driver isn't used afterwards."""
        ...
