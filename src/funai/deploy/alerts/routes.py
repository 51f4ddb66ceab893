"""What agents and edges report of their gateways."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from funai.base.http.app import ok
from funai.base.http.guards import credential_owner, only_as
from funai.contracts.apps.edge import GatewayFigures
from funai.contracts.wire import Envelope
from funai.deploy.guards import for_edges, for_nodes
from funai.deploy.services import Services

of_nodes = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(for_nodes)])
of_edges = APIRouter(prefix="/internal/gateway", tags=["edge"], dependencies=[Depends(for_edges)])


@of_nodes.post("/gateway")
async def report_of_node(core: Services, figures: GatewayFigures, request: Request) -> Envelope[bool]:
    only_as(request, figures.name)
    await core.gateways.note("node", figures)
    return ok(True)


@of_edges.post("/report")
async def report_of_edge(core: Services, figures: GatewayFigures, request: Request) -> Envelope[bool]:
    """An edge with a credential of its own goes by its name."""
    named = figures.model_copy(update={"name": credential_owner(request) or figures.name})
    await core.gateways.note("edge", named)
    return ok(True)
