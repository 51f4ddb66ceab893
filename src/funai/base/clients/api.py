"""The API as the command line and the console see it: accounts, apps, deploys, log streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from funai.base.clients.transport import Transport, Unreachable, error_of
from funai.base.proxies import Proxies
from funai.contracts.accounts import (
    AddSshKey,
    ApiKey,
    App,
    AppDeleted,
    AppRuntime,
    CreateApp,
    CreateDeploy,
    EnvVar,
    SshKey,
    User,
)
from funai.contracts.apps.domains import Domain
from funai.contracts.apps.usage import AppUsage
from funai.contracts.audit import AuditEntry
from funai.contracts.errors import BadInput
from funai.contracts.jobs import BuildRules, Job, LogSlice, Release, ReleaseComparison
from funai.contracts.states import Window

BASE = "/api/fun-ai"


class ApiClient:
    """``headers`` carry the login (``Authorization`` or ``X-API-Key``) and the language. ``timeout`` seconds a call."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 30,
        http: httpx.AsyncBaseTransport | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.transport = Transport("api", base_url, headers, timeout=timeout, http=http, proxies=proxies)

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

    async def apps(self, user_id: int) -> list[App]:
        return [App.model_validate(a) for a in await self.transport.data("GET", f"{BASE}/app/list", params={"userId": user_id})]

    async def app(self, user_id: int, app_id: int) -> App:
        return App.model_validate(await self.transport.data("GET", f"{BASE}/app/info", params=_app(user_id, app_id)))

    async def runtime(self, user_id: int, app_id: int) -> AppRuntime:
        """How the app's container is, by its node's own word now."""
        data = await self.transport.data("GET", f"{BASE}/deploy/app/status", params=_app(user_id, app_id))
        return AppRuntime.model_validate(data)

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """What the app used in the last hour, day or week."""
        params = {**_app(user_id, app_id), "window": window.value}
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
        params = _app(user_id, app_id)
        return AppDeleted.model_validate(await self.transport.data("POST", f"{BASE}/app/delete", params=params, timeout=120))

    async def domains(self, user_id: int, app_id: int) -> list[Domain]:
        found = await self.transport.data("GET", f"{BASE}/app/domains", params=_app(user_id, app_id))
        return [Domain.model_validate(d) for d in found]

    async def add_domain(self, user_id: int, app_id: int, name: str) -> Domain:
        params, body = _app(user_id, app_id), {"name": name}
        return Domain.model_validate(await self.transport.data("POST", f"{BASE}/app/domains", params=params, json=body))

    async def remove_domain(self, user_id: int, app_id: int, name: str) -> None:
        await self.transport.data("DELETE", f"{BASE}/app/domains", params={**_app(user_id, app_id), "name": name})

    async def check_domain(self, user_id: int, app_id: int, name: str) -> Domain:
        """Have its DNS and certificate looked at again soon."""
        params, body = _app(user_id, app_id), {"name": name}
        return Domain.model_validate(await self.transport.data("POST", f"{BASE}/app/domains/check", params=params, json=body))

    async def deploy(self, user_id: int, app_id: int, wishes: CreateDeploy, *, idempotency_key: str | None = None) -> Job:
        if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
            raise BadInput("IDEMPOTENCY_KEY_INVALID")  # as the API says; a header couldn't even carry it there
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return Job.model_validate(
            await self.transport.data(
                "POST", f"{BASE}/deploy/job/create", params=_app(user_id, app_id), json=wishes.to_wire(), headers=headers
            )
        )

    async def build_rules(self, user_id: int | None, app_id: int | None) -> BuildRules:
        params = {k: v for k, v in {"userId": user_id, "appId": app_id}.items() if v is not None}
        return BuildRules.model_validate(await self.transport.data("GET", f"{BASE}/deploy/build/rules", params=params))

    async def job(self, job_id: int) -> Job:
        return Job.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/info", params={"jobId": job_id}))

    async def jobs(self, limit: int) -> list[Job]:
        return _jobs(await self.transport.data("GET", f"{BASE}/deploy/job/list", params={"limit": limit}))

    async def history(self, user_id: int, app_id: int, limit: int) -> list[Job]:
        params = {**_app(user_id, app_id), "limit": limit}
        return _jobs(await self.transport.data("GET", f"{BASE}/deploy/job/history", params=params))

    async def cancel(self, job_id: int) -> Job:
        return Job.model_validate(await self.transport.data("POST", f"{BASE}/deploy/job/cancel", params={"jobId": job_id}))

    async def job_log(self, job_id: int, offset: int) -> LogSlice:
        """What there is of the log from byte ``offset``, in a bounded slice; go on from ``nextOffset``."""
        params = {"jobId": job_id, "offset": offset}
        return LogSlice.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/logs", params=params))

    async def job_log_tail(self, job_id: int, limit: int) -> LogSlice:
        """The last ``limit`` bytes of the log."""
        params = {"jobId": job_id, "tail": limit}
        return LogSlice.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/logs", params=params))

    @asynccontextmanager
    async def job_log_stream(self, job_id: int, offset: int) -> AsyncIterator[httpx.Response]:
        """The SSE stream of the log from byte ``offset``; ends when the job has ended and all was sent."""
        params = {"jobId": job_id, "offset": offset, "follow": "true"}
        async with self._stream(f"{BASE}/deploy/job/logs", params) as response:
            yield response

    @asynccontextmanager
    async def app_log_stream(self, user_id: int, app_id: int, *, tail: int, follow: bool) -> AsyncIterator[httpx.Response]:
        """The container's output as plain text: its last ``tail`` lines, then, with ``follow``, what comes."""
        params = {**_app(user_id, app_id), "tail": tail, "follow": str(follow).lower()}
        # An app may be silent for as long as it likes.
        async with self._stream(f"{BASE}/deploy/app/logs", params, read=None if follow else 60) as response:
            yield response

    @asynccontextmanager
    async def _stream(self, path: str, params: Mapping[str, Any], *, read: float | None = 60) -> AsyncIterator[httpx.Response]:
        """Raises like Transport.request. ``read`` seconds is the longest silence; job logs carry a sign of life every 10 s."""
        timeout = httpx.Timeout(60, connect=3, read=read)
        try:
            async with self.transport.raw.stream("GET", path, params=dict(params), timeout=timeout) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_of(self.transport.service, response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
            raise Unreachable(self.transport.service, str(e) or type(e).__name__, sent=False) from e
        except httpx.HTTPError as e:
            raise Unreachable(self.transport.service, str(e) or type(e).__name__, sent=True) from e

    async def app_call(self, verb: str, user_id: int, app_id: int) -> App:
        """``POST /deploy/app/{verb}`` with verb stop or start."""
        data = await self.transport.data("POST", f"{BASE}/deploy/app/{verb}", params=_app(user_id, app_id), timeout=120)
        return App.model_validate(data)

    async def rollback(self, user_id: int, app_id: int, release: int | None) -> Job:
        """Run a release again; without a number the one before the live one."""
        params = {**_app(user_id, app_id), "release": release}
        return Job.model_validate(await self.transport.data("POST", f"{BASE}/deploy/app/rollback", params=params))

    async def releases(self, user_id: int, app_id: int) -> list[Release]:
        rows = await self.transport.data("GET", f"{BASE}/deploy/app/releases", params=_app(user_id, app_id))
        return [Release.model_validate(r) for r in rows]

    async def compare_releases(self, user_id: int, app_id: int, old: int, new: int) -> ReleaseComparison:
        """What two releases differ in. Raises NotFound RELEASE_NOT_FOUND."""
        params = {**_app(user_id, app_id), "old": old, "new": new}
        return ReleaseComparison.model_validate(
            await self.transport.data("GET", f"{BASE}/deploy/app/releases/compare", params=params)
        )

    async def env(self, user_id: int, app_id: int) -> list[EnvVar]:
        """The app's variables, values masked."""
        return _env(await self.transport.data("GET", f"{BASE}/app/env", params=_app(user_id, app_id)))

    async def set_env(
        self, user_id: int, app_id: int, values: Mapping[str, str], *, secret: bool | None = None, build: bool = False
    ) -> list[EnvVar]:
        """Set these, leave the others; answers all of them, masked. ``secret`` marks these, or takes the mark away;
        ``build``: builds get them too.
        """
        params = {**_app(user_id, app_id), "secret": secret, **({"build": True} if build else {})}
        return _env(await self.transport.data("PUT", f"{BASE}/app/env", params=params, json=dict(values)))

    async def unset_env(self, user_id: int, app_id: int, names: Sequence[str]) -> list[EnvVar]:
        params = {**_app(user_id, app_id), "name": list(names)}
        return _env(await self.transport.data("DELETE", f"{BASE}/app/env", params=params))

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

    async def healthy(self) -> bool:
        body: Any = await self.transport.data("GET", "/internal/health")
        return bool(body.get("ok"))

    async def close(self) -> None:
        await self.transport.close()


def _app(user_id: int, app_id: int) -> dict[str, int]:
    return {"userId": user_id, "appId": app_id}


def _env(data: Any) -> list[EnvVar]:
    return [EnvVar.model_validate(v) for v in data]


def _jobs(data: Any) -> list[Job]:
    return [Job.model_validate(j) for j in data]
