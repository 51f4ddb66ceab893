"""The built-in Git server where it runs apart from the API: it makes a repository at its first use, and asks what to remove.

An app's id is never given twice, so a removal that comes late takes no other app's repository.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from funai.api.models import now_ms
from funai.api.repos.host import RepoHostFailed
from funai.api.tables import repo_discards
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.i18n.reasons import Words

PER_ANSWER = 100
_UNTOLD = Words(
    "Git 服务尚未报告它有哪些仓库（每 10 分钟一次；旧版本不报告）",
    "the Git server has not said yet which repositories it has (it does every 10 minutes; an older one never does)",
)


class ApartHost:
    """``RepoHost`` that writes removals down for the Git server, see :meth:`discards`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock
        self._there: list[str] | None = None

    async def ensure(self, repo: str) -> None:
        """The server makes it when its owner or the Runner first comes."""

    async def grant(self, repo: str, account: str | None) -> None:
        """The server asks at every operation who may do it."""

    async def webhook(self, repo: str) -> None:
        """The server itself tells of every push."""

    async def delete(self, repo: str) -> None:
        try:
            async with self.db.write() as conn:
                await conn.execute(insert(repo_discards).values(repo=repo, create_time=now_ms(self.clock)))
        except IntegrityError:
            return  # written down before

    async def repositories(self, owner: str) -> list[str]:
        if self._there is None:
            raise RepoHostFailed(_UNTOLD)
        return [repo for repo in self._there if repo.startswith(f"{owner}/")]

    def told(self, repos: Sequence[str]) -> None:
        """What the Git server has, as it says itself every few minutes."""
        self._there = list(repos)

    async def close(self) -> None:
        """No connection is held."""

    async def discards(self, done: Sequence[str]) -> list[str]:
        """Forgets the removed repositories; answers the oldest that are still to be removed."""
        async with self.db.write() as conn:
            if done:
                await conn.execute(delete(repo_discards).where(repo_discards.c.repo.in_(done)))
            oldest = select(repo_discards.c.repo).order_by(repo_discards.c.create_time, repo_discards.c.repo).limit(PER_ANSWER)
            return [str(repo) for repo in (await conn.execute(oldest)).scalars()]
