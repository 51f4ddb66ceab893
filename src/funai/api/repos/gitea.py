"""Repositories in an organisation of a Gitea or Forgejo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from funai.api.repos.host import RepoHostFailed
from funai.base.clients.gitea import Gitea, GiteaFailed, Why
from funai.base.observability import log
from funai.i18n.reasons import Words

TEMPLATE_MESSAGE = "FunAI: template files"
"""Marks the platform's own commits: a push of these alone is not the owner's."""
INITIAL_FILES = {"README.md"}
"""What Gitea itself puts into a repository that it initialises."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who gets one right: the organisation's team, else the account as a collaborator. Empty names are skipped."""

    team: str
    bot: str
    permission: str
    setting: str
    """The settings' common beginning, ``gitea.runner``."""


@dataclass(frozen=True, slots=True)
class GiteaRules:
    """What the operator set. ``webhook`` is the address and secret of the push hook; None: pushes are not announced."""

    auto_init: bool
    default_branch: str
    runner: Admitted
    workspace: Admitted
    webhook: tuple[str, str] | None
    templates: Mapping[str, bytes]


class GiteaHost:
    """``RepoHost`` over Gitea. Each repository's owner is the organisation that the operator named."""

    def __init__(self, gitea: Gitea, rules: GiteaRules) -> None:
        self.gitea, self.rules = gitea, rules

    async def ensure(self, repo: str) -> None:
        owner, name = repo.split("/")
        with told():
            if not await self.gitea.has_repo(owner, name):
                init, branch = self.rules.auto_init, self.rules.default_branch
                await self.gitea.create_repo(owner, name, auto_init=init, default_branch=branch)
            if self.rules.auto_init:
                await self._put_templates(owner, name)

    async def grant(self, repo: str, account: str | None) -> None:
        owner, name = repo.split("/")
        with told():
            if not await self._admit(owner, name, self.rules.runner):
                raise _nobody(owner, self.rules.runner)
            if not await self._admit(owner, name, self.rules.workspace):
                log.get("gitea").warning("gitea.no_workspace_writer", error=_nobody(owner, self.rules.workspace).message("en"))
            if account and not await self.gitea.admit(owner, name, account, "write"):
                log.get("gitea").warning("gitea.no_account", account=account, repo=repo)

    async def webhook(self, repo: str) -> None:
        if self.rules.webhook is None:
            return
        owner, name = repo.split("/")
        url, secret = self.rules.webhook
        with told():
            there = [hook for hook in await self.gitea.hooks(owner, name) if hook.url == url]
            if there:
                await self.gitea.renew_hook(owner, name, there[0], secret)
            else:
                await self.gitea.create_hook(owner, name, url, secret)

    async def delete(self, repo: str) -> None:
        owner, name = repo.split("/")
        with told():
            await self.gitea.delete_repo(owner, name)

    async def repositories(self, owner: str) -> list[str]:
        with told():
            return [f"{owner}/{name}" for name in await self.gitea.repos(owner)]

    async def close(self) -> None:
        await self.gitea.close()

    async def _put_templates(self, owner: str, name: str) -> None:
        """Only into a repository that holds nothing else: afterwards its owner decides what is in it."""
        there = await self.gitea.root_names(owner, name)
        tops = {path.partition("/")[0] for path in self.rules.templates}
        if there - INITIAL_FILES - tops:
            return
        for path, content in self.rules.templates.items():
            if path not in there:
                await self.gitea.create_file(
                    owner, name, path, content, branch=self.rules.default_branch, message=TEMPLATE_MESSAGE
                )

    async def _admit(self, owner: str, name: str, who: Admitted) -> bool:
        """False when the operator named an account and Gitea has neither the team nor the account."""
        if who.team and (team_id := await self.gitea.team(owner, who.team)) is not None:
            await self.gitea.admit_team(team_id, owner, name)
            return True
        if who.bot:
            return await self.gitea.admit(owner, name, who.bot, who.permission)
        return not who.team


def _nobody(owner: str, who: Admitted) -> RepoHostFailed:
    return RepoHostFailed(
        Words(
            f"Gitea 组织 {owner} 没有团队 {who.team or '-'}，也没有账号 {who.bot or '-'}；"
            f"请管理员创建其一，或修改 API 的 {who.setting}-team / {who.setting}-bot",
            f"Gitea has neither a team {who.team or '-'} in organisation {owner} nor an account {who.bot or '-'}; "
            f"the operator makes one, or sets the API's {who.setting}-team or {who.setting}-bot",
        )
    )


@contextmanager
def told() -> Iterator[None]:
    """Gitea's failures as the contract's, for the owner of the app; the log has Gitea's own words as the cause."""
    try:
        yield
    except GiteaFailed as e:
        raise RepoHostFailed(_WORDS[e.why]) from e


_WORDS = {
    Why.AWAY: Words("Gitea 没有应答，平台会继续重试", "Gitea does not answer; the platform goes on trying"),
    Why.FORBIDDEN: Words(
        "Gitea 拒绝了平台的令牌：请管理员更新 API 的 gitea.admin-token（须为组织所有者的令牌，"
        "含 write:organization 和 write:repository 权限）",
        "Gitea refuses the platform's token: the operator renews the API's gitea.admin-token (a token of an owner of the "
        "organisation, with the scopes write:organization and write:repository)",
    ),
    Why.REFUSED: Words(
        "Gitea 拒绝了请求：请管理员检查 API 的 gitea.base-url 和 gitea.owner（组织须存在），详情见 API 日志",
        "Gitea refuses the request: the operator checks the API's gitea.base-url and gitea.owner (the organisation must "
        "exist); the API's log has the details",
    ),
}
