"""People's own accounts at the Gitea: their registered keys are copied there, and their apps' repositories opened to them.

Only an operator links an account: a user who could choose one would put keys into another person's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from funai.api.accounts.service import link_git_account
from funai.api.deploys.policy import Defaults
from funai.api.models import now_ms
from funai.api.repos.gitea import told
from funai.api.tables import apps, ssh_keys, users
from funai.base.clients.gitea import Gitea
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import BadInput, Conflict, FunaiError, NotFound
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words

TITLE = "FunAI: "
"""Begins the titles of keys that are the platform's to remove; all others of the account stay as they are."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,39}")


class GitAccounts:
    def __init__(
        self, db: Database, clock: Clock, defaults: Defaults, gitea: Gitea | None, *, reserved: frozenset[str]
    ) -> None:
        """``gitea`` None: there are no accounts to link. ``reserved`` are the platform's own accounts."""
        self.db, self.clock, self.defaults, self.gitea = db, clock, defaults, gitea
        self.reserved = frozenset(name.lower() for name in reserved)

    async def link(self, user_id: int, account: str | None) -> None:
        """Link a person's account, or with None end the link: keys and rights are withdrawn first.

        Nothing is written when Gitea fails in the middle: asked again, it goes on. Raises NotFound USER_NOT_FOUND, BadInput
        GIT_ACCOUNT_INVALID, Conflict GIT_ACCOUNT_TAKEN or GIT_ACCOUNTS_OFF, RepoHostFailed.
        """
        if self.gitea is None:
            raise Conflict(Reason.GIT_ACCOUNTS_OFF)
        row = await self.db.fetch_one(select(users).where(users.c.id == user_id))
        if row is None:
            raise NotFound(Reason.USER_NOT_FOUND)
        with told():
            name = await self._checked(self.gitea, account) if account else None
        if name and await self.db.fetch_one(select(users.c.id).where(users.c.git_account == name, users.c.id != user_id)):
            raise Conflict(Reason.GIT_ACCOUNT_TAKEN)
        with told():
            if row["git_account"] and row["git_account"] != name:
                await self._mirror(self.gitea, str(row["git_account"]), {})
                await self._repositories(self.gitea, user_id, str(row["git_account"]), admitted=False)
            if name:
                await self._mirror(self.gitea, name, {} if row["disabled"] else await self._registered(user_id))
                await self._repositories(self.gitea, user_id, name, admitted=True)
        try:
            async with self.db.write() as conn:
                await link_git_account(conn, user_id, name, now_ms(self.clock))
        except IntegrityError as e:
            raise Conflict(Reason.GIT_ACCOUNT_TAKEN) from e

    async def mirror(self, user_id: int) -> None:
        """The person's keys changed, or the account was shut out or let in. A failure is logged; the sweep does it again."""
        try:
            await self._mirror_all(users.c.id == user_id)
        except FunaiError as e:
            log.get("api.repos").warning("git_account.mirror_failed", user_id=user_id, error=str(e))

    async def sweep(self) -> None:
        """Every linked account. Raises GiteaFailed."""
        await self._mirror_all(users.c.git_account.is_not(None))

    async def _mirror_all(self, which: object) -> None:
        if self.gitea is None:
            return
        columns = (users.c.id, users.c.git_account, users.c.disabled)
        linked = select(*columns).where(which, users.c.git_account.is_not(None)).order_by(users.c.id)  # type: ignore[arg-type]
        for row in await self.db.fetch_all(linked):
            wanted = {} if row["disabled"] else await self._registered(int(row["id"]))
            await self._mirror(self.gitea, str(row["git_account"]), wanted)

    async def _checked(self, gitea: Gitea, account: str) -> str:
        """The account's name as Gitea spells it. Raises BadInput."""
        found = await gitea.account(account) if _NAME.fullmatch(account) else None
        name = str(found.get("login", "")) if found else ""
        if not found or not name:
            raise _refused(account, "Gitea 中没有该账号", "Gitea has no such account")
        if name.lower() in self.reserved:
            raise _refused(name, "这是平台自己的账号", "it is one of the platform's own")
        if found.get("is_admin") is not False:
            raise _refused(name, "它是 Gitea 管理员", "it is an admin of Gitea")
        return name

    async def _registered(self, user_id: int) -> dict[str, str]:
        """Public key → its title."""
        rows = await self.db.fetch_all(select(ssh_keys).where(ssh_keys.c.user_id == user_id))
        return {str(row["public_key"]): str(row["title"]) for row in rows}

    async def _mirror(self, gitea: Gitea, account: str, wanted: Mapping[str, str]) -> None:
        there = {" ".join(key.text.split()[:2]): key for key in await gitea.keys(account)}
        for text, key in there.items():
            if key.title.startswith(TITLE) and text not in wanted:
                await gitea.remove_key(account, key.id)
        for text, title in wanted.items():
            if text not in there and not await gitea.add_key(account, TITLE + title, text):
                log.get("api.repos").warning("git_account.key_taken", account=account, title=title)

    async def _repositories(self, gitea: Gitea, user_id: int, account: str, *, admitted: bool) -> None:
        """Repositories that aren't made yet are opened when they are."""
        for row in await self.db.fetch_all(select(apps.c.id).where(apps.c.user_id == user_id, apps.c.deleting == 0)):
            owner, name = self.defaults.repo(user_id, int(row["id"])).split("/")
            if admitted:
                await gitea.admit(owner, name, account, "write")
            else:
                await gitea.expel(owner, name, account)


def _refused(account: str, zh: str, en: str) -> BadInput:
    return BadInput(Reason.GIT_ACCOUNT_INVALID, account=account, detail=Words(zh, en))
