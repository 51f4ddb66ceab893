"""Signing up and in, and what a user keeps: password, API key, SSH keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from funai.api.audit.recorder import Audit
from funai.api.edge import PREFIX, Address, CurrentUser, Services, answers
from funai.base.http.app import Reply, ok
from funai.contracts.accounts import AddSshKey, ApiKey, ChangePassword, Credentials, SshKey, User
from funai.contracts.audit import AuditAction
from funai.contracts.errors import Forbidden, Unauthenticated
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID

router = APIRouter(prefix=PREFIX)


@router.post("/auth/register", tags=["accounts"], summary="Make an account", **answers(User))
async def register(core: Services, address: Address, audit: Audit, body: Credentials) -> Reply:
    if not core.settings.registration_open:
        raise Forbidden(Reason.REGISTRATION_CLOSED)
    user = await core.accounts.register(address, body.user_name, body.password)
    await audit(AuditAction.SIGNED_UP, user)
    return ok(user)


@router.post(
    "/auth/login",
    tags=["accounts"],
    **answers(User),
    summary="Sign in; the token comes as the response header Authorization: Bearer",
)
async def login(core: Services, address: Address, audit: Audit, body: Credentials, response: Response) -> Reply:
    try:
        user, token = await core.accounts.login(address, body.user_name, body.password)
    except (Unauthenticated, Forbidden) as e:
        await audit.refused_sign_in(body.user_name, e.reason)
        raise
    await audit(AuditAction.SIGNED_IN, user)
    response.headers["Authorization"] = f"Bearer {token}"
    response.headers["Cache-Control"] = "no-store"
    return ok(user)


@router.get("/user/me", tags=["accounts"], summary="The signed-in user", **answers(User))
async def me(core: Services, caller: CurrentUser) -> Reply:
    return ok(await core.accounts.get(caller.id))


@router.put(
    "/user/password",
    tags=["accounts"],
    **answers(User),
    summary="Change the password; every earlier login and the API key end, a new token comes as at login",
)
async def change_password(core: Services, caller: CurrentUser, audit: Audit, body: ChangePassword, response: Response) -> Reply:
    token = await core.accounts.change_password(caller.id, body.old_password, body.new_password)
    await audit(AuditAction.PASSWORD_CHANGED, caller)
    response.headers["Authorization"] = f"Bearer {token}"
    response.headers["Cache-Control"] = "no-store"
    return ok(await core.accounts.get(caller.id))


@router.put(
    "/user/api-key",
    tags=["accounts"],
    **answers(ApiKey),
    summary="A new API key for X-API-Key; shown this once, and any earlier one ends",
)
async def renew_api_key(core: Services, caller: CurrentUser, audit: Audit, response: Response) -> Reply:
    response.headers["Cache-Control"] = "no-store"
    api_key = await core.accounts.renew_api_key(caller.id)
    await audit(AuditAction.API_KEY_RENEWED, caller)
    return ok(ApiKey(api_key=api_key))


@router.get("/user/keys", tags=["keys"], summary="The SSH keys one may push with", **answers(list[SshKey]))
async def list_keys(core: Services, caller: CurrentUser) -> Reply:
    return ok(await core.keys.list(caller.id))


@router.post("/user/keys", tags=["keys"], summary="Register an OpenSSH public key", **answers(SshKey))
async def add_key(core: Services, caller: CurrentUser, audit: Audit, body: AddSshKey) -> Reply:
    added = await core.keys.add(caller.id, body.title, body.public_key)
    await audit(AuditAction.SSH_KEY_ADDED, caller, target=added.fingerprint, detail=added.title)
    await core.git_accounts.mirror(caller.id)
    return ok(added)


@router.delete("/user/keys", tags=["keys"], summary="Forget a key", **answers(dict[str, int]))
async def remove_key(
    core: Services, caller: CurrentUser, audit: Audit, key_id: Annotated[int, Query(alias="id", ge=1, le=MAX_ID)]
) -> Reply:
    await core.keys.remove(caller.id, key_id)
    await audit(AuditAction.SSH_KEY_REMOVED, caller, target=f"#{key_id}")
    await core.git_accounts.mirror(caller.id)
    return ok({"id": key_id})
