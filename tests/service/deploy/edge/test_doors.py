"""The calls that an edge, or an operator's proxy, makes of Deploy, over HTTP."""

from __future__ import annotations

import asyncio

import httpx

from funai.contracts.apps.edge import TOKEN_HEADER, UPSTREAM_HEADER
from funai.contracts.jobs import ClaimJob
from tests.service.deploy.queue.kit import ADMIN, Deploy, deploying

SECRET = {TOKEN_HEADER: "s3cret-edge"}


async def get(deploy: Deploy, path: str, headers: dict[str, str]) -> httpx.Response:
    return await deploy.raw.get(path, headers=headers)


async def test_edge_calls_answer_its_secret_or_credential_and_nobody_else(sqlite_url: str) -> None:
    async with deploying(sqlite_url, edge_secret="s3cret-edge") as deploy:
        for path in ("/internal/routes", "/internal/gateway/node?appId=7"):
            for wrong in ({}, {TOKEN_HEADER: "x"}, {"X-RT-Node-Token": "s3cret-node"}):
                assert (await get(deploy, path, wrong)).status_code == 401
        admin = {"X-Admin-Token": ADMIN}
        made = await deploy.raw.post("/admin/credentials/create", json={"kind": "edge", "name": "e1"}, headers=admin)
        own = {TOKEN_HEADER: made.json()["data"]["token"]}
        assert (await get(deploy, "/internal/routes", own)).json()["data"]["full"] is True
        assert (await get(deploy, "/internal/routes", SECRET)).status_code == 200
    async with deploying(sqlite_url) as closed:
        assert (await get(closed, "/internal/routes", {TOKEN_HEADER: ""})).status_code == 401
        assert (await get(closed, "/internal/routes", own)).status_code == 200


async def test_gateway_node_answers_204_with_the_address_404_and_503(sqlite_url: str) -> None:
    async with deploying(sqlite_url, edge_secret="s3cret-edge") as deploy:
        await deploy.node("n1")
        unknown = await get(deploy, "/internal/gateway/node?appId=7", SECRET)
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "APP_NOT_FOUND")
        await deploy.create(7)
        assert await deploy.runner.claim(ClaimJob(runner_id="r1")) is not None
        found = await get(deploy, "/internal/gateway/node?appId=7", SECRET)
        assert (found.status_code, found.content, found.headers[UPSTREAM_HEADER]) == (204, b"", "http://n1")


async def test_a_claim_wakes_a_waiting_edge_and_a_stop_releases_it(sqlite_url: str) -> None:
    async with deploying(sqlite_url, edge_secret="s3cret-edge") as deploy:
        await deploy.node("n1")
        at = (await get(deploy, "/internal/routes", SECRET)).json()["data"]["revision"]
        waiting = asyncio.create_task(get(deploy, f"/internal/routes?since={at}&wait=25", SECRET))
        await deploy.create(7)
        assert await deploy.runner.claim(ClaimJob(runner_id="r1")) is not None
        heard = (await waiting).json()["data"]
        assert [r["appId"] for r in heard["routes"]] == [7] and heard["revision"] > at
        waiting = asyncio.create_task(get(deploy, f"/internal/routes?since={heard['revision']}&wait=25", SECRET))
        deploy.core.release_waiting()
        assert (await waiting).json()["data"]["routes"] == []
