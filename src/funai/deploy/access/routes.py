"""``/admin/credentials/**`` and ``/admin/join-tokens/**`` behind X-Admin-Token; joining, and what a node asks about itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from funai.base.http.app import ok
from funai.base.http.guards import credential_owner, only_as
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
from funai.deploy.guards import for_admins, for_joiners, for_nodes
from funai.deploy.services import Services

credentials = APIRouter(prefix="/admin/credentials", tags=["admin"], dependencies=[Depends(for_admins)])


@credentials.get("/list")
async def list_credentials(core: Services) -> Envelope[list[Credential]]:
    return ok(await core.credentials.list())


@credentials.post("/create")
async def create_credential(core: Services, asked: NewCredential) -> Envelope[Credential]:
    return ok(await core.credentials.create(asked))


@credentials.post("/revoke")
async def revoke(core: Services, credential_id: Annotated[int, Query(alias="id", ge=1, le=MAX_ID)]) -> Envelope[dict[str, int]]:
    await core.credentials.revoke(credential_id)
    return ok({"id": credential_id})


join_tokens = APIRouter(prefix="/admin/join-tokens", tags=["admin"], dependencies=[Depends(for_admins)])


@join_tokens.post("/create")
async def create_join_token(core: Services, asked: NewJoinToken) -> Envelope[JoinToken]:
    return ok(await core.joining.create(asked))


joining = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(for_joiners)])
"""``guard`` looks at the caller's address alone: the token in the body is the secret."""


@joining.post("/join")
async def join(core: Services, asked: JoinNode) -> Envelope[NodeJoined]:
    return ok(await core.joining.join(asked))


own_nodes = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(for_nodes)])
"""Behind X-RT-Node-Token."""


@own_nodes.get("/standing")
async def standing(core: Services, request: Request, name: Annotated[Name, Query()]) -> Envelope[NodeStanding]:
    only_as(request, name)
    return ok(await core.joining.standing(name))


@own_nodes.post("/leave")
async def leave(core: Services, asked: LeaveNode, request: Request) -> Envelope[NodeRemoved]:
    """Refuses the secret that all nodes share: with it one node could remove another."""
    only_as(request, asked.node_name)
    if credential_owner(request) is None:
        raise Forbidden(Reason.CREDENTIAL_NEEDED, name=asked.node_name)
    return ok(await core.joining.leave(asked))
