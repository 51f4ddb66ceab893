"""The edge as Traefik's dynamic configuration, against Traefik's own published schemas."""

from __future__ import annotations

import jsonschema
import pytest

from funai.contracts.apps.edge import EdgeName, EdgeNode, EdgeRoute, RouteChanges
from funai.gateway.edge.table import EdgeTable
from funai.gateway.edge.traefik import edge_config
from tests.pure.gateway.traefik_schema import schema_of

TABLE = EdgeTable.of(
    [
        RouteChanges(
            revision=5,
            full=True,
            nodes=[EdgeNode(id=1, name="n1", url="http://10.0.0.1:8000"), EdgeNode(id=2, name="n2")],
            routes=[EdgeRoute(app_id=7, node_id=1), EdgeRoute(app_id=8, node_id=2)],
            names=[EdgeName(name="a-b", app_id=7, alias=True), EdgeName(name="shop.example.com", app_id=7)],
        )
    ]
)


def test_edge_config_routes_apps_to_nodes_by_path_and_by_names() -> None:
    made = edge_config(TABLE, "apps.example.com", ["web"])["http"]
    rules = {router["rule"]: router["service"] for router in made["routers"].values()}
    assert rules == {
        "Path(`/runtime/7`) || PathPrefix(`/runtime/7/`)": "rt-node-1",
        "Host(`7.apps.example.com`)": "rt-node-1",
        "Host(`a-b.apps.example.com`)": "rt-node-1",
        "Host(`shop.example.com`)": "rt-node-1",
    }
    assert made["services"] == {"rt-node-1": {"loadBalancer": {"servers": [{"url": "http://10.0.0.1:8000"}]}}}
    assert all(router["entryPoints"] == ["web"] for router in made["routers"].values())
    assert edge_config(EdgeTable(), "", []) == {}


@pytest.mark.parametrize("version", [2, 3])
def test_edge_config_is_what_traefik_takes(version: int) -> None:
    schema = schema_of(version)
    for made in (edge_config(TABLE, "apps.example.com", ["web"]), edge_config(EdgeTable(), "", [])):
        if schema is not None:
            jsonschema.validate(made, schema)
