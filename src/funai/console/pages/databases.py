"""An app's databases: make, size, address on request, another password, backups, drop."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query
from pydantic import ValidationError
from starlette.responses import Response

from funai.base.clients.databases import DatabasesClient
from funai.console.pages.apps import APP
from funai.console.pages.forms import Id, app_path, see
from funai.console.session import Change, SignedIn, Visit
from funai.contracts.apps.databases import AppDatabases, DatabaseUrl, DatabaseWish, Kind
from funai.contracts.errors import BadInput, FunaiError

router = APIRouter()
HERE = APP + "/databases"
Done = Annotated[str | None, Query(max_length=40)]
KindField = Annotated[Kind, Form()]


@router.get(HERE)
async def databases_page(visit: SignedIn, owner: Id, app_id: Id, done: Done = None) -> Response:
    return await _page(visit, owner, app_id, done=done)


@router.post(HERE + "/create")
async def create(visit: Change, owner: Id, app_id: Id, kind: KindField) -> Response:
    await DatabasesClient(visit.api).create(owner, app_id, DatabaseWish(kind=kind))
    return see(app_path(owner, app_id, "/databases"), done="done_db_created")


@router.post(HERE + "/url")
async def show_url(visit: Change, owner: Id, app_id: Id, kind: KindField) -> Response:
    """The page with the address, which no other page shows and no link leads to."""
    found = await DatabasesClient(visit.api).url(owner, app_id, DatabaseWish(kind=kind))
    return await _page(visit, owner, app_id, url=found)


@router.post(HERE + "/rotate")
async def rotate(visit: Change, owner: Id, app_id: Id, kind: KindField) -> Response:
    await DatabasesClient(visit.api).rotate(owner, app_id, DatabaseWish(kind=kind))
    return see(app_path(owner, app_id, "/databases"), done="done_db_rotated")


@router.post(HERE + "/backup")
async def backup(visit: Change, owner: Id, app_id: Id, kind: KindField) -> Response:
    await DatabasesClient(visit.api).backup(owner, app_id, DatabaseWish(kind=kind))
    return see(app_path(owner, app_id, "/databases"), done="done_db_backup")


@router.post(HERE + "/restore")
async def restore(
    visit: Change,
    owner: Id,
    app_id: Id,
    kind: KindField,
    name: Annotated[str, Form(max_length=60)],
    typed: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    app = await visit.app(owner, app_id)
    if typed.strip() != app.app_name:
        return await _page(visit, owner, app_id, mismatch=True)
    try:
        wish = DatabaseWish(kind=kind, backup=name)
    except ValidationError:
        return await _page(visit, owner, app_id, error=BadInput(detail="backup"))
    await DatabasesClient(visit.api).restore(owner, app_id, wish)
    return see(app_path(owner, app_id, "/databases"), done="done_db_restored")


@router.post(HERE + "/drop")
async def drop(
    visit: Change, owner: Id, app_id: Id, kind: KindField, typed: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    app = await visit.app(owner, app_id)
    if typed.strip() != app.app_name:
        return await _page(visit, owner, app_id, mismatch=True)
    await DatabasesClient(visit.api).drop(owner, app_id, DatabaseWish(kind=kind))
    return see(app_path(owner, app_id, "/databases"), done="done_db_dropped")


async def _page(
    visit: Visit,
    owner: int,
    app_id: int,
    *,
    done: str | None = None,
    error: FunaiError | None = None,
    url: DatabaseUrl | None = None,
    mismatch: bool = False,
) -> Response:
    app, found = await visit.app(owner, app_id), AppDatabases(app_id=app_id)
    try:
        found = await DatabasesClient(visit.api).info(owner, app_id)
    except FunaiError as e:
        error = error or e
    missing = [kind for kind in found.kinds if kind not in {d.kind for d in found.databases}]
    status = error.code if error else 400 if mismatch else 200
    return visit.page(
        "app_databases.html",
        status=status,
        app=app,
        found=found,
        missing=missing,
        url=url,
        error=error,
        mismatch=mismatch,
        done=done,
        tab="databases",
    )
