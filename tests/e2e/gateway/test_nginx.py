"""``deploy/nginx/several-nodes.conf`` in a real Nginx, which asks a real Deploy for each app's node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from funai.base.aio import bind, serving
from funai.base.process.programs import find_program
from funai.deploy import main
from funai.deploy.placement import store
from tests.e2e.gateway.conftest import StartUpstream, route_to
from tests.e2e.gateway.test_edge import TOKEN, app_of, nodes
from tests.parts.daemon import Daemon
from tests.parts.waiting import eventually, free_port, tcp_answers
from tests.service.deploy.plane import Calls, Plane
from tests.service.deploy.queue.kit import settings

EXAMPLE = Path(__file__).parents[3] / "deploy" / "nginx" / "several-nodes.conf"
WHOLE = """
daemon off; pid {folder}/nginx.pid; worker_processes 1; error_log {folder}/error.log warn; {user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/several-nodes.conf;
}}
"""

pytestmark = pytest.mark.skipif(find_program("nginx") is None, reason="no nginx on PATH: run `make setup-test`")


def nginx(folder: Path, deploy_port: int, port: int) -> Daemon:
    """The example with nothing changed but what its head says is to be replaced, and where this Nginx listens and writes."""
    text = EXAMPLE.read_text()
    replaced = {
        "http://10.0.0.2:7002/": f"http://127.0.0.1:{deploy_port}/",
        '"EDGE_TOKEN"': f'"{TOKEN}"',
        "listen 80;": f"listen 127.0.0.1:{port};",
        "/var/cache/nginx/funai-nodes": f"{folder}/cache",
    }
    for old, new in replaced.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "several-nodes.conf").write_text(text)
    (folder / "nginx.conf").write_text(WHOLE.format(folder=folder, user="user root;"))
    argv = [str(find_program("nginx")), "-p", folder, "-c", folder / "nginx.conf"]
    return Daemon("nginx", argv, log=folder / "nginx.log", ready=lambda: tcp_answers(port))


@dataclass
class Front:
    """A Deploy that can be away, and the plane whose placements Nginx follows."""

    url: str
    plane: Plane
    deploy: AsyncExitStack

    async def move(self, app_id: int, node_id: int) -> None:
        async with self.plane.db.write() as conn:
            await store.settle(conn, app_id, node_id, 1, 1)
            await store.move(conn, app_id, node_id, 1)


@asynccontextmanager
async def front(folder: Path, database: str) -> AsyncIterator[Front]:
    async with AsyncExitStack() as deploy:
        app = main.build(settings(database, edge_secret=TOKEN))
        deploy_port = await deploy.enter_async_context(serving(app, bind("127.0.0.1", 0)))
        core, port = app.state.core, free_port()
        proxy = nginx(folder, deploy_port, port)
        await asyncio.to_thread(proxy.start)
        try:
            yield Front(f"http://127.0.0.1:{port}", Plane(core.db, Calls(), core.heartbeats.rules), deploy)
        finally:
            await asyncio.to_thread(proxy.stop)


async def test_nginx_asks_deploy_follows_moves_and_serves_on_while_deploy_is_away(
    folder: Path, sqlite_url: str, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    a, b = await upstream("a"), await upstream("b")
    async with front(folder, sqlite_url) as door, nodes(folder, [route_to(7, a)], [route_to(7, b), route_to(8, b)]) as (n1, n2):
        first = await door.plane.beat("n1", upstreamUrl=n1.url)
        second = await door.plane.beat("n2", upstreamUrl=n2.url)
        await door.move(7, first)
        await door.move(8, second)
        seen = (await client.get(f"{door.url}/runtime/7/x?y=1", headers={"X-Forwarded-For": "6.6.6.6"})).json()
        headers = dict(seen["headers"])
        assert (seen["app"], seen["target"]) == ("a", "/x?y=1")
        assert "6.6.6.6" not in headers["x-forwarded-for"] and headers["x-forwarded-prefix"] == "/runtime/7"
        upload = await client.post(f"{door.url}/runtime/8/upload", content=b"x" * 300_000)
        assert upload.text == "300000"
        assert (await client.get(f"{door.url}/runtime/9/")).status_code == 404
        assert (await client.get(f"{door.url}/_funai_node")).status_code == 404, "Deploy's answer is for Nginx alone"

        await door.move(7, second)

        async def followed() -> bool:
            return await app_of(client, f"{door.url}/runtime/7/") == "b"

        await eventually(followed, what="Nginx has the app's new node")
        await door.deploy.aclose()
        errors = folder / "error.log"

        async def asked_in_vain() -> bool:
            assert await app_of(client, f"{door.url}/runtime/7/") == "b"
            return "while connecting to upstream" in errors.read_text() or "Connection refused" in errors.read_text()

        await eventually(asked_in_vain, what="Nginx asked the Deploy that is away, and served by its last answer")
        unknown = await client.get(f"{door.url}/runtime/12/")
        assert (unknown.status_code, unknown.headers.get("retry-after")) == (503, "3")
