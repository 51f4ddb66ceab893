"""``/admin/credentials/**``, behind X-Admin-Token."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from funai.base.http.app import ok
from funai.base.http.guards import SecretDoor
from funai.contracts.nodes import Credential, NewCredential
from funai.contracts.wire import MAX_ID, Envelope
from funai.deploy.access.credentials import Credentials

Door = SecretDoor | Callable[..., Awaitable[None]]


def credential_routes(credentials: Credentials, door: Door) -> APIRouter:
    router = APIRouter(prefix="/admin/credentials", tags=["admin"], dependencies=[Depends(door)])

    @router.get("/list")
    async def list_credentials() -> Envelope[list[Credential]]:
        return _ok(await credentials.list())

    @router.post("/create")
    async def create(asked: NewCredential) -> Envelope[Credential]:
        return _ok(await credentials.create(asked))

    @router.post("/revoke")
    async def revoke(credential_id: Annotated[int, Query(alias="id", ge=1, le=MAX_ID)]) -> Envelope[dict[str, int]]:
        await credentials.revoke(credential_id)
        return _ok({"id": credential_id})

    return router


def _ok(data: Any) -> Any:
    return ok(data)
