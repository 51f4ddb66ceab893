"""Container logs through Deploy over real sockets: they arrive as they are written, and leave nobody waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import select

from funai.base.aio import bind, serving
from funai.contracts.nodes import NodeHeartbeat
from funai.deploy import main
from funai.deploy.queue.ports import Waiting
from tests.parts.waiting import eventually
from tests.service.deploy.queue.kit import NODE, SECRET, settings


class Container:
    """An agent whose app writes when told to."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked: list[dict[str, str]] = []
        self.readers = 0
        self.app = FastAPI()
        self.app.get("/agent/apps/logs")(self.logs)

    async def logs(self, tail: str, follow: str) -> StreamingResponse:
        self.asked.append({"tail": tail, "follow": follow})
        return StreamingResponse(self._lines(), media_type="text/plain")

    async def _lines(self) -> AsyncIterator[bytes]:
        self.readers += 1
        try:
            while line := await self.lines.get():
                yield line
        finally:
            self.readers -= 1


@pytest.fixture
async def container() -> Container:
    return Container()


@pytest.fixture
async def deploy(sqlite_url: str, container: Container) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    app = main.build(settings(sqlite_url))
    async with (
        serving(container.app, bind("127.0.0.1", 0), grace=1) as agent,
        serving(app, bind("127.0.0.1", 0), grace=5) as port,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"X-DEPLOY-SECRET": SECRET}, trust_env=False, timeout=10
        ) as http,
    ):
        beat = NodeHeartbeat(
            node_name="n1", agent_base_url=f"http://127.0.0.1:{agent}", gateway_base_url="http://n1", disk_free_pct=80
        )
        sent = await http.post("/internal/runtime-nodes/heartbeat", json=beat.to_wire(), headers={"X-RT-Node-Token": NODE})
        sent.raise_for_status()
        core = app.state.core
        async with core.db.write() as conn:
            now_ms = await conn.scalar(select(core.db.now_ms()))
            assert not isinstance(await core.jobs.store.placer.place(conn, 7, now_ms, 1), Waiting)
        yield app, http


async def test_lines_come_as_they_are_written(deploy: tuple[FastAPI, httpx.AsyncClient], container: Container) -> None:
    _, http = deploy
    async with http.stream("GET", "/deploy/apps/logs", params={"userId": 1, "appId": 7, "tail": 5, "follow": True}) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        lines = answer.aiter_lines()
        for word in ("one", "two"):
            container.lines.put_nowait(f"{word}\n".encode())
            assert await asyncio.wait_for(anext(lines), 60) == word
        container.lines.put_nowait(None)
        assert [line async for line in lines] == []
    assert container.asked == [{"tail": "5", "follow": "true"}]


async def test_a_reader_that_leaves_lets_go_of_the_agent(
    deploy: tuple[FastAPI, httpx.AsyncClient], container: Container
) -> None:
    _, http = deploy
    async with http.stream("GET", "/deploy/apps/logs", params={"userId": 1, "appId": 7, "follow": True}) as answer:
        container.lines.put_nowait(b"x\n")
        assert await anext(answer.aiter_lines()) == "x"
        assert container.readers == 1
    await eventually(lambda: container.readers == 0, what="the agent's stream is closed")


async def test_readers_are_let_go_when_deploy_stops(deploy: tuple[FastAPI, httpx.AsyncClient], container: Container) -> None:
    app, http = deploy
    async with http.stream("GET", "/deploy/apps/logs", params={"userId": 1, "appId": 7, "follow": True}) as answer:
        container.lines.put_nowait(b"x\n")
        lines = answer.aiter_lines()
        assert await anext(lines) == "x"
        app.state.core.release_waiting()
        assert [line async for line in lines] == []
    await eventually(lambda: container.readers == 0, what="the agent's stream is closed")
