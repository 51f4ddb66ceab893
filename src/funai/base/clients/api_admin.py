"""The API's calls for an admin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funai.base.clients.api_calls import BASE, Calls
from funai.contracts.accounts import (
    App,
    User,
)
from funai.contracts.audit import AuditEntry


class AdminCalls(Calls):
    async def admin(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Any = None) -> Any:
        """One of the operator's calls, ``/admin/deploy-nodes/…``, for an admin user."""
        return await self.transport.data(method, f"{BASE}/admin/deploy-nodes/{path}", params=params, json=json)

    async def users(self, after: int, limit: int) -> list[User]:
        """Accounts with ids above ``after``, for an admin."""
        params = {"after": after, "limit": limit}
        return [User.model_validate(u) for u in await self.transport.data("GET", f"{BASE}/admin/users/list", params=params)]

    async def audit(
        self, *, before: int | None = None, limit: int = 100, action: str = "", actor: str = "", app_id: int | None = None
    ) -> list[AuditEntry]:
        """Who did what, newest first, for an admin; ``before`` is the last id of the page before."""
        asked = {"before": before, "limit": limit, "action": action, "actor": actor, "appId": app_id}
        params = {name: value for name, value in asked.items() if value not in (None, "")}
        found = await self.transport.data("GET", f"{BASE}/admin/audit/list", params=params)
        return [AuditEntry.model_validate(e) for e in found]

    async def set_user_disabled(self, user_id: int, disabled: bool) -> User:
        """Shut an account out, or let it in again, for an admin."""
        params = {"userId": user_id, "disabled": str(disabled).lower()}
        return User.model_validate(await self.transport.data("POST", f"{BASE}/admin/users/set-disabled", params=params))

    async def all_apps(self, after: int, limit: int) -> list[App]:
        """Every user's apps with ids above ``after``, for an admin."""
        params = {"after": after, "limit": limit}
        return [App.model_validate(a) for a in await self.transport.data("GET", f"{BASE}/admin/apps/list", params=params)]
