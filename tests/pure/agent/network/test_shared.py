"""Who is in a network that apps share, and what an engine says of it."""

from __future__ import annotations

from typing import Any

import pytest

from funai.agent.engine import readings
from funai.agent.engine.contract import Neighbour
from funai.agent.network.shared import others


def test_others_are_no_apps_of_ours_another_platforms_or_an_older_agents() -> None:
    there = [
        Neighbour("traefik", {"com.example": "x"}, "172.18.0.2"),
        Neighbour("rt-u-1-7", {"funai.instance": ""}, "172.18.0.3"),
        Neighbour("rt-u-1-7.other", {"funai.instance": "other"}, "172.18.0.4"),
        Neighbour("rt-u1-app7", {}, "172.18.0.5"),
    ]
    assert others(there) == ["172.18.0.2"]


@pytest.mark.parametrize(
    ("attrs", "interface"),
    [
        ({"Driver": "bridge", "Id": "0123456789abcdef"}, "br-0123456789ab"),
        ({"Driver": "bridge", "Id": "x", "Options": {"com.docker.network.bridge.name": "web0"}}, "web0"),
        ({"Driver": "overlay", "Id": "0123456789abcdef"}, ""),
    ],
)
def test_network_of_docker_has_its_bridges_name(attrs: dict[str, Any], interface: str) -> None:
    assert readings.network({"Name": "web", **attrs}).interface == interface


def test_neighbour_is_one_with_an_address_in_that_network() -> None:
    inside = {"NetworkSettings": {"Networks": {"web": {"IPAddress": "172.18.0.2"}}}, "Names": ["/traefik"], "Labels": None}
    assert readings.neighbour(inside, "web") == Neighbour("traefik", {}, "172.18.0.2")
    assert readings.neighbour(inside, "other") is None
