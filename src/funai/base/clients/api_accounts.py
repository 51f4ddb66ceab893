"""The API's calls about people: accounts, logins, keys."""

from __future__ import annotations

from funai.base.clients.api_calls import BASE, Calls
from funai.contracts.accounts import (
    AddSshKey,
    ApiKey,
    SshKey,
    User,
)


class AccountCalls(Calls):
    async def register(self, user_name: str, password: str) -> User:
        body = {"userName": user_name, "password": password}
        return User.model_validate(await self.transport.data("POST", f"{BASE}/auth/register", json=body))

    async def login(self, user_name: str, password: str) -> tuple[User, str]:
        """Answers the user and the bearer token (without the word Bearer)."""
        body = {"userName": user_name, "password": password}
        response = await self.transport.request("POST", f"{BASE}/auth/login", json=body)
        token = response.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return User.model_validate(self.transport.opened(response)), token

    async def me(self) -> User:
        return User.model_validate(await self.transport.data("GET", f"{BASE}/user/me"))

    async def change_password(self, old: str, new: str) -> str:
        """Answers a new bearer token; every earlier login and the API key end."""
        body = {"oldPassword": old, "newPassword": new}
        response = await self.transport.request("PUT", f"{BASE}/user/password", json=body)
        return response.headers.get("Authorization", "").removeprefix("Bearer ").strip()

    async def renew_api_key(self) -> str:
        """A new API key; the one before stops working."""
        return ApiKey.model_validate(await self.transport.data("PUT", f"{BASE}/user/api-key")).api_key

    async def keys(self) -> list[SshKey]:
        return [SshKey.model_validate(k) for k in await self.transport.data("GET", f"{BASE}/user/keys")]

    async def add_key(self, title: str, public_key: str) -> SshKey:
        body = AddSshKey(title=title, public_key=public_key).to_wire()
        return SshKey.model_validate(await self.transport.data("POST", f"{BASE}/user/keys", json=body))

    async def remove_key(self, key_id: int) -> None:
        await self.transport.data("DELETE", f"{BASE}/user/keys", params={"id": key_id})
