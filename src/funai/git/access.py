"""Who may do what, asked of the API over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import httpx

from funai.base.clients.transport import Transport
from funai.contracts.accounts import GitAccess, GitAccessQuestion


class Access(Protocol):
    async def known(self, public_key: str) -> bool:
        """Whether a user registered this key. Raises CalleeFailed."""
        ...

    async def ask(self, public_key: str, repo: str, *, write: bool) -> GitAccess:
        """Whether the key's holder may read (write) ``owner/name``. Raises CalleeFailed."""
        ...

    async def pushed(self, app_id: int, user_id: int, branches: list[str]) -> None:
        """Tell that a push arrived. Raises CalleeFailed."""
        ...


class ApiAccess:
    """The API's internal calls; an empty ``repo`` only asks whether the key is known."""

    def __init__(self, base_url: str, token: str, *, http: httpx.AsyncBaseTransport | None = None) -> None:
        self._api = Transport("api", base_url, {"X-Git-Token": token}, timeout=5, http=http)

    async def known(self, public_key: str) -> bool:
        return (await self.ask(public_key, "", write=False)).allowed

    async def ask(self, public_key: str, repo: str, *, write: bool) -> GitAccess:
        question = GitAccessQuestion(public_key=public_key, repo=repo, write=write)
        data = await self._api.data("POST", "/api/fun-ai/internal/git/access", json=question.to_wire())
        return GitAccess.model_validate(data)

    async def pushed(self, app_id: int, user_id: int, branches: list[str]) -> None:
        body = {"appId": app_id, "userId": user_id, "branches": branches}
        await self._api.data("POST", "/api/fun-ai/internal/git/pushed", json=body)

    async def discards(self, done: Sequence[str]) -> list[str]:
        """Repositories to remove; ``done`` are removed. Raises FunaiError, also of an older API."""
        data = await self._api.data("POST", "/api/fun-ai/internal/git/discards", json={"done": list(done)})
        return [str(repo) for repo in data]

    async def there(self, repos: Sequence[str]) -> None:
        """Tell which repositories there are. Raises FunaiError, also of an older API."""
        await self._api.data("POST", "/api/fun-ai/internal/git/repositories", json={"repos": list(repos)})

    async def close(self) -> None:
        await self._api.close()
