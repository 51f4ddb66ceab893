"""The API's calls about apps: themselves, their variables and domains, how they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from funai.base.clients.api_calls import BASE, Calls, owned
from funai.contracts.accounts import (
    App,
    AppDeleted,
    AppRuntime,
    CreateApp,
    EnvVar,
)
from funai.contracts.apps.domains import Domain
from funai.contracts.apps.usage import AppUsage
from funai.contracts.states import Window


class AppCalls(Calls):
    async def apps(self, user_id: int) -> list[App]:
        return [App.model_validate(a) for a in await self.transport.data("GET", f"{BASE}/app/list", params={"userId": user_id})]

    async def app(self, user_id: int, app_id: int) -> App:
        return App.model_validate(await self.transport.data("GET", f"{BASE}/app/info", params=owned(user_id, app_id)))

    async def runtime(self, user_id: int, app_id: int) -> AppRuntime:
        """How the app's container is, by its node's own word now."""
        data = await self.transport.data("GET", f"{BASE}/deploy/app/status", params=owned(user_id, app_id))
        return AppRuntime.model_validate(data)

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """What the app used in the last hour, day or week."""
        params = {**owned(user_id, app_id), "window": window.value}
        return AppUsage.model_validate(await self.transport.data("GET", f"{BASE}/deploy/app/usage", params=params))

    async def create_app(self, user_id: int, app: CreateApp) -> App:
        params = {"userId": user_id}
        return App.model_validate(await self.transport.data("POST", f"{BASE}/app/create", params=params, json=app.to_wire()))

    async def update_app(self, user_id: int, app_id: int, name: str, description: str) -> App:
        """Change name and description."""
        body = {"appId": app_id, "appName": name, "description": description}
        params = {"userId": user_id}
        return App.model_validate(await self.transport.data("POST", f"{BASE}/app/update-basic", params=params, json=body))

    async def delete_app(self, user_id: int, app_id: int) -> AppDeleted:
        """Answers the report of the clean-up, step by step."""
        params = owned(user_id, app_id)
        return AppDeleted.model_validate(await self.transport.data("POST", f"{BASE}/app/delete", params=params, timeout=120))

    async def domains(self, user_id: int, app_id: int) -> list[Domain]:
        found = await self.transport.data("GET", f"{BASE}/app/domains", params=owned(user_id, app_id))
        return [Domain.model_validate(d) for d in found]

    async def add_domain(self, user_id: int, app_id: int, name: str) -> Domain:
        params, body = owned(user_id, app_id), {"name": name}
        return Domain.model_validate(await self.transport.data("POST", f"{BASE}/app/domains", params=params, json=body))

    async def remove_domain(self, user_id: int, app_id: int, name: str) -> None:
        await self.transport.data("DELETE", f"{BASE}/app/domains", params={**owned(user_id, app_id), "name": name})

    async def check_domain(self, user_id: int, app_id: int, name: str) -> Domain:
        """Have its DNS and certificate looked at again soon."""
        params, body = owned(user_id, app_id), {"name": name}
        return Domain.model_validate(await self.transport.data("POST", f"{BASE}/app/domains/check", params=params, json=body))

    async def app_call(self, verb: str, user_id: int, app_id: int) -> App:
        """``POST /deploy/app/{verb}`` with verb stop or start."""
        data = await self.transport.data("POST", f"{BASE}/deploy/app/{verb}", params=owned(user_id, app_id), timeout=120)
        return App.model_validate(data)

    async def env(self, user_id: int, app_id: int) -> list[EnvVar]:
        """The app's variables, values masked."""
        return _env(await self.transport.data("GET", f"{BASE}/app/env", params=owned(user_id, app_id)))

    async def set_env(
        self, user_id: int, app_id: int, values: Mapping[str, str], *, secret: bool | None = None, build: bool = False
    ) -> list[EnvVar]:
        """Set these, leave the others; answers all of them, masked. ``secret`` marks these, or takes the mark away;
        ``build``: builds get them too.
        """
        params = {**owned(user_id, app_id), "secret": secret, **({"build": True} if build else {})}
        return _env(await self.transport.data("PUT", f"{BASE}/app/env", params=params, json=dict(values)))

    async def unset_env(self, user_id: int, app_id: int, names: Sequence[str]) -> list[EnvVar]:
        params = {**owned(user_id, app_id), "name": list(names)}
        return _env(await self.transport.data("DELETE", f"{BASE}/app/env", params=params))


def _env(data: Any) -> list[EnvVar]:
    return [EnvVar.model_validate(v) for v in data]
