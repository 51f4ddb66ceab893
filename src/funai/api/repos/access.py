"""The Git server's questions: who holds this key, and may they read or write this repository?"""

from __future__ import annotations

import re

from funai.api.accounts.keys import Keys
from funai.api.accounts.publickeys import PublicKey, parse_public_key
from funai.api.apps.service import Apps
from funai.api.deploys.policy import Defaults
from funai.contracts.accounts import GitAccess, GitAccessQuestion
from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.i18n.reasons import render


class RepoAccess:
    def __init__(self, apps: Apps, keys: Keys, defaults: Defaults, runner_key: PublicKey | None) -> None:
        self.apps, self.keys, self.defaults, self.runner_key = apps, keys, defaults, runner_key

    async def answer(self, question: GitAccessQuestion) -> GitAccess:
        """Never an error: a refusal says why. An empty ``repo`` asks only whether the key is known."""
        try:
            key = parse_public_key(question.public_key)
        except BadInput as e:
            return GitAccess(allowed=False, message="\n".join(f"FunAI: {e.message(language)}" for language in ("zh", "en")))
        if self.runner_key and key.fingerprint == self.runner_key.fingerprint:
            return await self._runner(question)
        user_id = await self.keys.owner(key)
        if user_id is None:
            return _no(Reason.GIT_KEY_UNKNOWN)
        if not question.repo:
            return GitAccess(allowed=True, user_id=user_id)
        named = parse_repo(question.repo, self.defaults)
        app = await self.apps.find(named[1]) if named else None
        # Another's repository and one that isn't there are answered alike.
        if named is None or app is None or app.user_id != named[0] or named[0] != user_id:
            return _no(Reason.GIT_REPO_UNKNOWN, user_id)
        if question.write:
            await self.apps.repos.ensure(*named)
        return GitAccess(allowed=True, user_id=user_id, app_id=named[1])

    async def _runner(self, question: GitAccessQuestion) -> GitAccess:
        if question.write:
            return _no(Reason.GIT_READ_ONLY)
        if not question.repo:
            return GitAccess(allowed=True)
        named = parse_repo(question.repo, self.defaults)
        app = await self.apps.find(named[1]) if named else None
        if named is None or app is None or app.user_id != named[0]:
            return _no(Reason.GIT_REPO_UNKNOWN)
        return GitAccess(allowed=True, app_id=named[1])


def parse_repo(repo: str, defaults: Defaults) -> tuple[int, int] | None:
    """``owner/name`` to (userId, appId) by the operator's template; None for any other name."""
    owner, _, name = repo.partition("/")
    pattern = re.escape(defaults.repo_template)
    for word in ("userId", "appId"):
        escaped = re.escape("{" + word + "}")
        pattern = pattern.replace(escaped, f"(?P<{word}>[1-9][0-9]{{0,17}})", 1).replace(escaped, f"(?P={word})")
    found = re.fullmatch(pattern, name)
    if owner != defaults.repo_owner or found is None:
        return None
    return int(found["userId"]), int(found["appId"])


def _no(reason: str, user_id: int | None = None) -> GitAccess:
    """In both languages: SSH tells neither the Git server nor us which one the person reads."""
    lines = [f"FunAI: {render(reason, language, {})}" for language in ("zh", "en")]
    return GitAccess(allowed=False, user_id=user_id, message="\n".join(lines))
