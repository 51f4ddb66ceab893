"""``/admin/credentials/**`` and ``/admin/join-tokens/**`` behind X-Admin-Token; joining, and what a node asks about itself."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from funai.base.http.app import ok
from funai.base.http.guards import Guard, credential_owner, only_as
from funai.contracts.errors import Forbidden
from funai.contracts.nodes import (
    Credential,
    JoinNode,
    JoinToken,
    LeaveNode,
    NewCredential,
    NewJoinToken,
    NodeJoined,
    NodeRemoved,
    NodeStanding,
)
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID, Envelope, Name
from funai.deploy.access.credentials import Credentials
from funai.deploy.access.joining import Joining


def credential_routes(credentials: Credentials, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/admin/credentials", tags=["admin"], dependencies=[Depends(guard)])

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


def join_token_routes(joining: Joining, guard: Guard) -> APIRouter:
    router = APIRouter(prefix="/admin/join-tokens", tags=["admin"], dependencies=[Depends(guard)])

    @router.post("/create")
    async def create(asked: NewJoinToken) -> Envelope[JoinToken]:
        return _ok(await joining.create(asked))

    return router


def join_routes(joining: Joining, guard: Guard) -> APIRouter:
    """``guard`` looks at the caller's address alone: the token in the body is the secret."""
    router = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(guard)])

    @router.post("/join")
    async def join(asked: JoinNode) -> Envelope[NodeJoined]:
        return _ok(await joining.join(asked))

    return router


def own_node_routes(joining: Joining, guard: Guard) -> APIRouter:
    """Behind X-RT-Node-Token."""
    router = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(guard)])

    @router.get("/standing")
    async def standing(request: Request, name: Annotated[Name, Query()]) -> Envelope[NodeStanding]:
        only_as(request, name)
        return _ok(await joining.standing(name))

    @router.post("/leave")
    async def leave(asked: LeaveNode, request: Request) -> Envelope[NodeRemoved]:
        """Refuses the secret that all nodes share: with it one node could remove another."""
        only_as(request, asked.node_name)
        if credential_owner(request) is None:
            raise Forbidden(Reason.CREDENTIAL_NEEDED, name=asked.node_name)
        return _ok(await joining.leave(asked))

    return router


def _ok(data: Any) -> Any:
    return ok(data)
