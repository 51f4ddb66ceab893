"""An operator's pages: runtime nodes, runners, users, all apps, the audit trail."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response

from funai.console.pages.apps import Done
from funai.console.pages.forms import Id, see
from funai.console.session import Change, SignedIn
from funai.contracts.apps.moves import DrainProgress, MoveState
from funai.contracts.audit import AuditAction, AuditEntry
from funai.contracts.errors import NotFound
from funai.contracts.nodes import DrainReport, RunnerInfo, RuntimeNode
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID


async def admin_only(visit: SignedIn) -> None:
    visit.must_be_admin()


router = APIRouter(prefix="/admin", dependencies=[Depends(admin_only)])
PAGE = 50
MOVES = 100
"""Apps that a drain's page lists."""
After = Annotated[int, Query(ge=0, le=MAX_ID)]
NODE_KINDS = {"HEALTHY": "good", "DRAINING": "busy", "UNHEALTHY": "bad", "STALE": "bad"}
MOVE_KINDS = {
    MoveState.FAILED: "bad",
    MoveState.MOVING: "busy",
    MoveState.WAITING: "off",
    MoveState.MOVED: "good",
    MoveState.CANCELLED: "off",
}
"""A move's badge, in the order in which a drain's page lists its moves."""


@router.get("")
async def admin_home() -> Response:
    return see("/admin/nodes")


@router.get("/nodes")
async def nodes_page(visit: SignedIn, done: Done = None) -> Response:
    return visit.page("admin_nodes.html", nodes=await _nodes(visit), done=done, kinds=NODE_KINDS, tab="nodes")


@router.get("/nodes/rows")
async def nodes_rows(visit: SignedIn) -> Response:
    return visit.page("admin_nodes_rows.html", nodes=await _nodes(visit), kinds=NODE_KINDS)


async def _nodes(visit: SignedIn) -> list[RuntimeNode]:
    return [RuntimeNode.model_validate(n) for n in await visit.api.admin("GET", "list")]


@router.post("/nodes/enabled")
async def set_enabled(visit: Change, name: Annotated[str, Form(max_length=128)], enabled: Annotated[bool, Form()]) -> Response:
    await visit.api.admin("POST", "set-enabled", params={"name": name, "enabled": str(enabled).lower()})
    return see("/admin/nodes", done="done_node")


@router.get("/nodes/{node_id}/drain")
async def drain_page(visit: SignedIn, node_id: Id) -> Response:
    return await _drain(visit, "admin_drain.html", node_id)


@router.get("/nodes/{node_id}/drain/state")
async def drain_state(visit: SignedIn, node_id: Id) -> Response:
    """The part of a drain's page that changes."""
    return await _drain(visit, "admin_drain_state.html", node_id)


async def _drain(visit: SignedIn, template: str, node_id: int, report: DrainReport | None = None) -> Response:
    """Raises NotFound."""
    nodes = {node.id: node for node in await _nodes(visit)}
    if node_id not in nodes:
        raise NotFound(Reason.NODE_NOT_FOUND)
    progress, order = await _progress(visit, nodes[node_id]), list(MOVE_KINDS)
    moves = sorted(progress.moves, key=lambda m: order.index(m.state)) if progress else []
    return visit.page(
        template,
        node=nodes[node_id],
        report=report,
        progress=progress,
        moves=moves[:MOVES],
        more=max(0, len(moves) - MOVES),
        names={n.id: n.name for n in nodes.values()},
        kinds=MOVE_KINDS,
        tab="nodes",
    )


async def _progress(visit: SignedIn, node: RuntimeNode) -> DrainProgress | None:
    """The node's last drain with its moves."""
    if node.drain is None:
        return None
    return DrainProgress.model_validate(await visit.api.admin("GET", "drains/info", params={"id": node.drain.id}))


@router.post("/nodes/{node_id}/drain")
async def drain(visit: Change, node_id: Id) -> Response:
    report = DrainReport.model_validate(await visit.api.admin("POST", "drain", json={"sourceNodeId": node_id}))
    return await _drain(visit, "admin_drain.html", node_id, report)


@router.post("/nodes/{node_id}/drain/cancel")
async def cancel_drain(visit: Change, node_id: Id, drain: Annotated[int, Form(ge=1, le=MAX_ID)]) -> Response:
    await visit.api.admin("POST", "drains/cancel", params={"id": drain})
    return see(f"/admin/nodes/{node_id}/drain")


@router.get("/runners")
async def runners_page(visit: SignedIn) -> Response:
    return await _runners(visit, "admin_runners.html")


@router.get("/runners/rows")
async def runners_rows(visit: SignedIn) -> Response:
    return await _runners(visit, "admin_runners_rows.html")


async def _runners(visit: SignedIn, template: str) -> Response:
    runners = [RunnerInfo.model_validate(r) for r in await visit.api.admin("GET", "runners/list")]
    return visit.page(template, runners=runners, tab="runners")


@router.get("/users")
async def users_page(visit: SignedIn, after: After = 0, done: Done = None) -> Response:
    return await _users(visit, "admin_users.html", after, done=done)


@router.get("/users/rows")
async def users_rows(visit: SignedIn, after: After = 0) -> Response:
    return await _users(visit, "admin_users_rows.html", after)


async def _users(visit: SignedIn, template: str, after: int, *, done: str | None = None) -> Response:
    users = await visit.api.users(after, PAGE)
    return visit.page(template, users=users, full=len(users) == PAGE, after=after, done=done, tab="users")


@router.post("/users/disabled")
async def set_user_disabled(visit: Change, user: Annotated[int, Form(ge=1)], disabled: Annotated[bool, Form()]) -> Response:
    await visit.api.set_user_disabled(user, disabled)
    return see("/admin/users", done="done_user")


@router.get("/apps")
async def apps_page(visit: SignedIn, after: After = 0) -> Response:
    return await _apps(visit, "admin_apps.html", after)


@router.get("/apps/rows")
async def apps_rows(visit: SignedIn, after: After = 0) -> Response:
    return await _apps(visit, "admin_apps_rows.html", after)


async def _apps(visit: SignedIn, template: str, after: int) -> Response:
    apps = await visit.api.all_apps(after, PAGE)
    return visit.page(template, apps=apps, full=len(apps) == PAGE, after=after, tab="apps")


@router.get("/audit")
async def audit_page(
    visit: SignedIn,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
    action: Annotated[str, Query(max_length=40)] = "",
    actor: Annotated[str, Query(max_length=64)] = "",
    app: Annotated[str, Query(max_length=19)] = "",
) -> Response:
    """Who did what. A filter that can't be meant (an unknown action, an app that is no number) finds nothing."""
    actor, app = actor.strip(), app.strip()
    number = int(app) if app.isascii() and app.isdigit() and 1 <= int(app) <= MAX_ID else None
    entries: list[AuditEntry] = []
    if action in ("", *AuditAction) and (number is not None or not app):
        entries = await visit.api.audit(before=before, limit=PAGE, action=action, actor=actor, app_id=number)
    wanted = {name: value for name, value in (("action", action), ("actor", actor), ("app", app)) if value}
    following = urlencode({**wanted, "before": entries[-1].id}) if len(entries) == PAGE else ""
    return visit.page(
        "admin_audit.html",
        entries=entries,
        actions=list(AuditAction),
        action=action,
        actor=actor,
        app_number=app,
        filtered=bool(wanted) or before is not None,
        following=following,
        tab="audit",
    )
