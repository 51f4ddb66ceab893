"""An operator's calls: runtime nodes and runners (handed on to Deploy), users, apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from funai.api.audit.recorder import Audit
from funai.api.edge import PREFIX, Admin, AppId, Services, answers
from funai.api.services import Core
from funai.base.http.app import Reply, ok
from funai.contracts.accounts import App, User
from funai.contracts.apps.databases import Orphans
from funai.contracts.apps.moves import DrainProgress
from funai.contracts.audit import AuditAction
from funai.contracts.errors import Unavailable
from funai.contracts.nodes import DrainNode, NewCredential, NewJoinToken, ReassignApp, UpsertNode
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID, EntityId, Name, Wire, clamped

router = APIRouter(prefix=f"{PREFIX}/admin")
nodes = APIRouter(prefix="/deploy-nodes", tags=["nodes"])
After = Annotated[int, Query(ge=0, le=MAX_ID, description="The last id of the page before")]
PageLimit = Annotated[int, Query(), clamped(1, 500)]


class SetPassword(Wire):
    password: str


async def _deploy(
    core: Core, method: str, path: str, *, params: Mapping[str, str | int] | None = None, json: object = None
) -> Reply:
    if core.control.admin_token is None:
        raise Unavailable(Reason.ADMIN_TOKEN_MISSING)
    with core.control.asking() as deploy:
        return ok(await deploy.admin(method, path, core.control.admin_token, params=params, json=json))


@nodes.get("/list", summary="Runtime nodes and their health", **answers(list[dict[str, Any]]))
async def list_nodes(core: Services, _: Admin) -> Reply:
    return await _deploy(core, "GET", "/admin/runtime-nodes/list")


@nodes.get("/health", summary="Where the Deploy service is, and what it says of itself", **answers(dict[str, Any]))
async def deploy_health(core: Services, _: Admin) -> Reply:
    with core.control.asking() as deploy:
        return ok({"proxyBaseUrl": core.settings.deploy_base_url, "deploy": await deploy.health()})


@nodes.post("/upsert", summary="Make or change a node", **answers(dict[str, Any]))
async def upsert_node(core: Services, caller: Admin, audit: Audit, body: UpsertNode) -> Reply:
    saved = await _deploy(core, "POST", "/admin/runtime-nodes/upsert", json=body.to_wire())
    await audit(AuditAction.NODE_SAVED, caller, target=body.name)
    return saved


@nodes.post("/set-enabled", summary="Let a node take new apps, or not", **answers(Any))
async def set_node_enabled(core: Services, caller: Admin, audit: Audit, name: Annotated[Name, Query()], enabled: bool) -> Reply:
    params = {"name": name, "enabled": str(enabled).lower(), "full": "true"}
    changed = await _deploy(core, "POST", "/admin/runtime-nodes/set-enabled", params=params)
    await audit(AuditAction.NODE_ENABLED if enabled else AuditAction.NODE_DISABLED, caller, target=name)
    return changed


@nodes.post("/remove", summary="Forget a node that is gone for good; its apps count as stopped", **answers(Any))
async def remove_node(
    core: Services, caller: Admin, audit: Audit, name: Annotated[Name, Query()], force: bool = False, empty: bool = False
) -> Reply:
    params = {"name": name, "force": str(force).lower(), "empty": str(empty).lower()}
    removed = await _deploy(core, "POST", "/admin/runtime-nodes/remove", params=params)
    await audit(AuditAction.NODE_REMOVED, caller, target=name)
    return removed


@nodes.get("/placements", summary="Which apps a node has", **answers(dict[str, Any]))
async def placements(
    core: Services,
    _: Admin,
    node_id: Annotated[int, Query(alias="nodeId", ge=1, le=MAX_ID)],
    offset: Annotated[int, Query(), clamped(0, MAX_ID)] = 0,
    limit: Annotated[int, Query(), clamped(1, 2_000)] = 200,
) -> Reply:
    params = {"nodeId": node_id, "offset": offset, "limit": limit}
    return await _deploy(core, "GET", "/admin/runtime-nodes/placements", params=params)


@nodes.post("/reassign", summary="Place an app on another node", **answers(Any))
async def reassign(core: Services, caller: Admin, audit: Audit, body: ReassignApp) -> Reply:
    placed = await _deploy(core, "POST", "/admin/runtime-nodes/reassign", json=body.to_wire(), params={"full": "true"})
    await audit(AuditAction.APP_MOVED, caller, app_id=body.app_id, detail=f"#{body.target_node_id}")
    return placed


@nodes.post("/drain", summary="Place a node's apps elsewhere", **answers(Any))
async def drain(core: Services, caller: Admin, audit: Audit, body: DrainNode) -> Reply:
    report = await _deploy(core, "POST", "/admin/runtime-nodes/drain", json=body.to_wire(), params={"full": "true"})
    await audit(AuditAction.NODE_DRAINED, caller, target=f"#{body.source_node_id}")
    return report


@nodes.get("/drains/list", summary="The last drain of every node that had one", **answers(list[DrainProgress]))
async def drains(core: Services, _: Admin) -> Reply:
    return await _deploy(core, "GET", "/admin/runtime-nodes/drains/list")


@nodes.get("/drains/info", summary="How far a drain is, with its apps", **answers(DrainProgress))
async def drain_info(core: Services, _: Admin, drain_id: Annotated[EntityId, Query(alias="id")]) -> Reply:
    return await _deploy(core, "GET", "/admin/runtime-nodes/drains/info", params={"id": drain_id})


@nodes.post("/drains/cancel", summary="Begin no more moves of a drain", **answers(DrainProgress))
async def cancel_drain(core: Services, caller: Admin, audit: Audit, drain_id: Annotated[EntityId, Query(alias="id")]) -> Reply:
    cancelled = await _deploy(core, "POST", "/admin/runtime-nodes/drains/cancel", params={"id": drain_id})
    await audit(AuditAction.DRAIN_CANCELLED, caller, target=f"#{drain_id}")
    return cancelled


@nodes.get("/credentials/list", summary="Runners' and nodes' own credentials", **answers(list[dict[str, Any]]))
async def list_credentials(core: Services, _: Admin) -> Reply:
    return await _deploy(core, "GET", "/admin/credentials/list")


@nodes.post("/credentials/create", summary="Make a runner or node a credential of its own, shown this once", **answers(Any))
async def create_credential(core: Services, caller: Admin, audit: Audit, body: NewCredential) -> Reply:
    made = await _deploy(core, "POST", "/admin/credentials/create", json=body.to_wire())
    await audit(AuditAction.CREDENTIAL_CREATED, caller, target=body.name, detail=body.kind)
    return made


@nodes.post("/credentials/revoke", summary="Revoke one credential", **answers(Any))
async def revoke_credential(
    core: Services, caller: Admin, audit: Audit, credential_id: Annotated[EntityId, Query(alias="id")]
) -> Reply:
    revoked = await _deploy(core, "POST", "/admin/credentials/revoke", params={"id": credential_id})
    await audit(AuditAction.CREDENTIAL_REVOKED, caller, target=f"#{credential_id}")
    return revoked


@nodes.post("/join-tokens/create", summary="Make a token with which one machine joins as a node, once", **answers(Any))
async def create_join_token(core: Services, caller: Admin, audit: Audit, body: NewJoinToken) -> Reply:
    made = await _deploy(core, "POST", "/admin/join-tokens/create", json=body.to_wire())
    await audit(AuditAction.JOIN_TOKEN_CREATED, caller, target=body.name or "")
    return made


@nodes.get("/runners/list", summary="Runners and when they were last seen", **answers(list[dict[str, Any]]))
async def runners(core: Services, _: Admin) -> Reply:
    return await _deploy(core, "GET", "/admin/runners/list")


router.add_api_route(
    "/runners/list",
    runners,
    summary="Runners and when they were last seen",
    tags=["nodes"],
    **answers(list[dict[str, Any]]),
    name="runners_by_own_path",
)
router.include_router(nodes)


@router.get("/users/list", tags=["admin"], summary="Accounts by id", **answers(list[User]))
async def list_users(core: Services, _: Admin, after: After = 0, limit: PageLimit = 100) -> Reply:
    return ok(await core.accounts.page(after, limit))


@router.post(
    "/users/set-disabled",
    tags=["admin"],
    **answers(User),
    summary="Shut an account out, or let it in. Its apps serve on, unless stopApps takes them off line",
)
async def set_user_disabled(
    core: Services,
    caller: Admin,
    audit: Audit,
    user_id: Annotated[EntityId, Query(alias="userId")],
    disabled: bool,
    stop_apps: Annotated[bool, Query(alias="stopApps")] = False,
) -> Reply:
    user = await core.accounts.set_disabled(user_id, disabled)
    action = AuditAction.USER_DISABLED if disabled else AuditAction.USER_ENABLED
    await audit(action, caller, user_id=user_id, target=user.user_name)
    await core.git_accounts.mirror(user_id)
    if disabled and stop_apps:
        await core.deploys.stop_all(user_id)
    return ok(user)


@router.post(
    "/users/set-git-account",
    tags=["admin"],
    **answers(User),
    summary="Link a user's own account at the Gitea: keys are copied there, apps' repositories opened; no account ends it",
)
async def set_git_account(
    core: Services,
    caller: Admin,
    audit: Audit,
    user_id: Annotated[EntityId, Query(alias="userId")],
    account: Annotated[str | None, Query(max_length=40)] = None,
) -> Reply:
    await core.git_accounts.link(user_id, account or None)
    user = await core.accounts.get(user_id)
    await audit(AuditAction.GIT_ACCOUNT_LINKED, caller, user_id=user_id, target=user.user_name, detail=account or "")
    return ok(user)


@router.post("/users/set-password", tags=["admin"], summary="Give a user a new password; their logins end", **answers(User))
async def set_user_password(
    core: Services, caller: Admin, audit: Audit, user_id: Annotated[EntityId, Query(alias="userId")], body: SetPassword
) -> Reply:
    await core.accounts.set_password(user_id, body.password)
    user = await core.accounts.get(user_id)
    await audit(AuditAction.PASSWORD_SET, caller, user_id=user_id, target=user.user_name)
    return ok(user)


@router.get("/apps/list", tags=["admin"], summary="Every user's apps by id", **answers(list[App]))
async def list_all_apps(core: Services, _: Admin, after: After = 0, limit: PageLimit = 100) -> Reply:
    return ok(await core.overviews.shown(await core.apps.page(after, limit)))


@router.post(
    "/apps/set-disabled",
    tags=["admin"],
    summary="Stop an app and refuse its deploys, or allow them",
    **answers(App),
)
async def set_app_disabled(core: Services, caller: Admin, audit: Audit, app_id: AppId, disabled: bool) -> Reply:
    app = await core.deploys.set_disabled(app_id, disabled)
    action = AuditAction.APP_DISABLED if disabled else AuditAction.APP_ENABLED
    await audit(action, caller, user_id=app.user_id, app_id=app_id, target=app.app_name)
    return ok(app)


@router.post(
    "/orphans",
    tags=["admin"],
    summary="Databases, containers, repositories and images of apps that are no more; deleted only when told, after a grace",
    **answers(list[Orphans]),
)
async def orphans(
    core: Services,
    caller: Admin,
    audit: Audit,
    delete: bool = False,
    grace_hours: Annotated[float, Query(alias="graceHours", ge=0, le=8760)] = 24,
) -> Reply:
    found = await core.orphans.find(delete=delete, grace_hours=grace_hours)
    if delete:
        await audit(AuditAction.ORPHANS_DELETED, caller)
    return ok([place.to_wire() for place in found])
