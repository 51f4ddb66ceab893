"""Following Deploy, with a proxy and a Deploy that answer what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

import httpx
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from funai.base.clients.deploy import EdgeDeployClient
from funai.contracts.apps.edge import EdgeNode, EdgeRoute, RouteChanges
from funai.contracts.errors import CalleeFailed, Unauthenticated
from funai.contracts.routes import GatewayError
from funai.gateway.edge.follower import Follower
from funai.gateway.edge.main import status_app
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.edge.table import Changed, EdgeTable

N1, N2 = (EdgeNode(id=n, name=f"n{n}", url=f"http://10.0.0.{n}:8000") for n in (1, 2))
FIRST = RouteChanges(revision=5, full=True, nodes=[N1], routes=[EdgeRoute(app_id=7, node_id=1)], next_page="app:7")
REST = RouteChanges(revision=8, full=True, nodes=[N2], routes=[EdgeRoute(app_id=8, node_id=2)])
MOVED = RouteChanges(revision=9, routes=[EdgeRoute(app_id=7, node_id=2)])
Answer = RouteChanges | Exception


class Deploys:
    """Several instances of Deploy with one list of answers; they call ``over`` and fail when it has ended."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), list[tuple[str, int, str]]()
        self.over: Callable[[], None] = lambda: None

    def clients(self, *names: str) -> list[EdgeDeployClient]:
        return [cast("EdgeDeployClient", One(name, self)) for name in names]


class One:
    def __init__(self, name: str, deploys: Deploys) -> None:
        self.name, self.deploys = name, deploys

    async def routes(self, since: int, wait: float = 0, *, page: str = "") -> RouteChanges:
        del wait
        self.deploys.asked.append((self.name, since, page))
        if not self.deploys.answers:
            self.deploys.over()
            await asyncio.sleep(0)
            raise CalleeFailed(service="deploy", detail="no more")
        answer = self.deploys.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        return


class Proxy:
    """Remembers what it was given: by which table it started, then apps' nodes and what was said to differ."""

    def __init__(self, *refusals: bool) -> None:
        self.healthy = True
        self.refusals, self.started, self.shown = list(refusals), list[tuple[dict[int, int], bool]](), list[object]()

    async def start(self, table: EdgeTable, *, sure: bool) -> None:
        self.started.append((dict(table.apps), sure))

    async def show(self, table: EdgeTable, changed: Changed | None) -> None:
        if self.refusals and self.refusals.pop(0):
            raise GatewayError("no")
        self.shown.append((dict(table.apps), None if changed is None else set(changed.apps)))

    async def close(self) -> None:
        return

    async def stop(self) -> None:
        return


async def followed(deploys: Deploys, proxy: Proxy, file: Path, *names: str) -> Follower:
    """Start one, and let it run until Deploy has no more to say."""
    follower, stop = Follower(deploys.clients(*(names or ("a",))), proxy, file), asyncio.Event()
    deploys.over = stop.set
    await follower.start()
    await follower.run(stop)
    return follower


async def test_follower_starts_by_a_snapshot_and_shows_only_what_differs(tmp_path: Path) -> None:
    deploys, proxy = Deploys(FIRST, REST, MOVED), Proxy()
    follower = await followed(deploys, proxy, tmp_path / "edge.json")
    assert deploys.asked[:3] == [("a", 0, ""), ("a", 0, "app:7"), ("a", 5, "")]
    assert proxy.started == [({7: 1, 8: 2}, True)]
    assert proxy.shown == [({7: 2, 8: 2}, {7})]
    assert EdgeTable.from_json((tmp_path / "edge.json").read_text()) == follower.table


async def test_follower_without_deploy_starts_unsure_by_its_file_and_then_shows_the_whole(tmp_path: Path) -> None:
    file = tmp_path / "edge.json"
    await followed(Deploys(FIRST, REST), Proxy(), file)
    deploys, proxy = Deploys(CalleeFailed(service="deploy", detail="x"), MOVED), Proxy()
    await followed(deploys, proxy, file)
    assert proxy.started == [({7: 1, 8: 2}, False)]
    assert deploys.asked[1] == ("a", 5, "") and proxy.shown == [({7: 2, 8: 2}, None)]


async def test_follower_gives_a_refused_change_again_as_a_whole_without_asking(tmp_path: Path) -> None:
    deploys, proxy = Deploys(FIRST, REST, MOVED), Proxy(True)
    await followed(deploys, proxy, tmp_path / "edge.json")
    assert proxy.shown == [({7: 2, 8: 2}, None)]
    assert [since for _, since, _ in deploys.asked] == [0, 0, 5, 9]


async def test_follower_asks_another_deploy_when_one_fails(tmp_path: Path) -> None:
    failed = CalleeFailed(service="deploy", detail="x")
    deploys, proxy = Deploys(Unauthenticated(), FIRST, REST, failed, MOVED), Proxy()
    follower = await followed(deploys, proxy, tmp_path / "edge.json", "a", "b")
    assert [name for name, *_ in deploys.asked[:5]] == ["a", "b", "b", "b", "a"]
    assert proxy.started == [({7: 1, 8: 2}, True)] and follower.table.apps == {7: 2, 8: 2}


async def test_follower_with_a_file_that_is_no_table_starts_anew(tmp_path: Path) -> None:
    file = tmp_path / "edge.json"
    file.write_text("nonsense")
    proxy = Proxy()
    await followed(Deploys(FIRST, REST), proxy, file)
    assert proxy.started == [({7: 1, 8: 2}, True)]


async def test_status_says_what_is_known_and_503_without_a_proxy(tmp_path: Path) -> None:
    proxy, registry = Proxy(), CollectorRegistry()
    follower = await followed(Deploys(FIRST, REST), proxy, tmp_path / "edge.json")
    settings = EdgeSettings(deploy_base_urls=["http://d"], token=SecretStr("t0ken"))
    way = httpx.ASGITransport(app=status_app(settings, follower, proxy, registry))
    async with httpx.AsyncClient(transport=way, base_url="http://edge") as http:
        said = await http.get("/internal/health")
        assert (said.status_code, said.json()["revision"], said.json()["apps"]) == (200, 5, 2)
        proxy.healthy = False
        assert (await http.get("/internal/health")).status_code == 503
        assert (await http.get("/metrics")).status_code == 200
