"""What an app reaches of the platform, on whatever machine it is."""

from __future__ import annotations

import socket

import httpx

from tests.e2e.nodes.world import AGENT_PORT, GATEWAY_PORT, Nodes
from tests.parts.extent import only_in_full
from tests.parts.registry import Registry
from tests.parts.waiting import eventually

pytestmark = only_in_full


async def tried(app: str, target: str) -> str:
    """What the app says of a connection that it opens."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        return (await http.get(f"{app}cgi-bin/try?{target}")).text.strip()


async def test_app_reaches_its_database_and_nothing_else_of_the_platforms_machines(platform: Nodes) -> None:
    await platform.all_healthy()
    (url,) = (await platform.live(1, "node-1")).values()
    host, other = platform.switch.host, platform.switch.address(2)
    registry = platform.daemons["registry"]
    assert isinstance(registry, Registry)
    deploy, agent = f"{host}:{platform.deploy_port}", f"{other}:{AGENT_PORT}"
    await eventually(lambda: closed(url, agent), seconds=40, what="the walls are in place")
    with socket.create_server((host, platform.database_port)), socket.create_server((host, 0)) as private:
        assert await tried(url, f"{host}:{platform.database_port}") == "open"
        assert await tried(url, f"{host}:{private.getsockname()[1]}") == "closed"
        assert await tried(url, deploy) == "closed"
        assert await tried(url, registry.address) == "closed"
    assert await tried(url, f"{other}:{GATEWAY_PORT}") == "open"  # the public's door
    problems = [node.problem or "" for node in (await platform.known()).values()]
    assert not any("platform's machines" in problem for problem in problems), problems


async def closed(url: str, target: str) -> bool:
    return await tried(url, target) == "closed"
