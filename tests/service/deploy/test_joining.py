"""Machines that join as nodes, in real databases: one token one node, a credential of its own, and the way out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, inspect, select, update

from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.contracts.errors import FunaiError
from funai.contracts.nodes import NewJoinToken, NodeHeartbeat
from funai.deploy import main
from funai.deploy.tables import join_token, placement
from tests.service.deploy.queue.kit import ADMIN, NODE, Deploy, deploying


@pytest.fixture
async def lite_deploy(sqlite_url: str) -> AsyncIterator[Deploy]:
    async with deploying(sqlite_url) as made:
        yield made


async def token(deploy: Deploy, **asked: Any) -> str:
    return (await deploy.api.admin("POST", "/admin/join-tokens/create", ADMIN, json=asked))["token"]


async def join(deploy: Deploy, given: str, name: str = "n1") -> httpx.Response:
    body = {"token": given, "name": name, "agentBaseUrl": f"http://{name}:7005", "gatewayBaseUrl": f"http://{name}"}
    return await deploy.raw.post("/internal/runtime-nodes/join", json=body)


async def call(deploy: Deploy, method: str, path: str, secret: str, **more: Any) -> httpx.Response:
    return await deploy.raw.request(method, f"/internal/runtime-nodes/{path}", headers={"X-RT-Node-Token": secret}, **more)


async def beat(deploy: Deploy, secret: str, name: str) -> int:
    said = NodeHeartbeat(node_name=name, disk_free_pct=80, agent_version="1.2.3", memory_free_bytes=2**31).to_wire()
    return (await call(deploy, "POST", "heartbeat", secret, json=said)).status_code


async def test_join_trades_a_token_for_a_node_and_a_credential_that_speaks_for_it_alone(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        given = await token(deploy)
        joined = (await join(deploy, given)).json()["data"]
        own = joined["credential"]
        assert (joined["nodeId"], joined["name"], joined["agentToken"]) == (1, "n1", "s3cret-agent")
        rows = await deploy.core.db.fetch_all(select(join_token))
        assert given not in str(rows) and own not in str(rows)

        before = (await call(deploy, "GET", "standing", own, params={"name": "n1"})).json()["data"]
        assert (before["health"], before.get("lastHeartbeatAtMs")) == ("STALE", None)
        assert await beat(deploy, own, "n1") == 200
        after = (await call(deploy, "GET", "standing", own, params={"name": "n1"})).json()["data"]
        assert after["health"] == "HEALTHY" and after["lastHeartbeatAtMs"] >= before["nowMs"]
        [node] = await deploy.api.admin("GET", "/admin/runtime-nodes/list", ADMIN)
        assert (node["agentVersion"], node["memoryFreeBytes"], node["agentBaseUrl"]) == ("1.2.3", 2**31, "http://n1:7005")

        assert await beat(deploy, own, "n2") == 403
        assert (await call(deploy, "GET", "standing", own, params={"name": "n2"})).status_code == 403
        assert (await call(deploy, "POST", "leave", own, json={"nodeName": "n2"})).status_code == 403
        assert (await call(deploy, "POST", "domains", own, json={"nodeName": "n2", "domains": []})).status_code == 403
        assert await beat(deploy, NODE, "n3") == 200, "what nodes of before share goes on"


async def test_join_of_many_machines_with_one_token_lets_one_in(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        given = await token(deploy)
        answers = await asyncio.gather(*(join(deploy, given, f"n{n}") for n in range(8)))
        assert sorted(a.status_code for a in answers) == [200, *[409] * 7]
        assert {a.json()["reason"] for a in answers if a.status_code == 409} == {"JOIN_TOKEN_USED"}
        assert len(await deploy.api.admin("GET", "/admin/runtime-nodes/list", ADMIN)) == 1
        assert len(await deploy.api.admin("GET", "/admin/credentials/list", ADMIN)) == 1


async def test_join_of_two_machines_under_one_name_lets_one_in_and_spares_the_others_token(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        tokens = [await token(deploy), await token(deploy)]
        answers = await asyncio.gather(*(join(deploy, given, "n1") for given in tokens))
        assert sorted(a.status_code for a in answers) == [200, 409]
        loser = next(given for given, a in zip(tokens, answers, strict=True) if a.status_code == 409)
        assert (await join(deploy, loser, "n2")).status_code == 200


async def test_join_as_a_known_node_needs_a_token_of_that_name_and_ends_its_old_credential(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        await deploy.node("n1")
        refused = await join(deploy, await token(deploy), "n1")
        assert (refused.status_code, refused.json()["reason"]) == (409, "NODE_NAME_TAKEN")
        bound = await token(deploy, name="n1")
        assert (await join(deploy, bound, "n2")).json()["reason"] == "JOIN_TOKEN_OF_ANOTHER"
        old = (await join(deploy, bound, "n1")).json()["data"]["credential"]
        assert await beat(deploy, old, "n1") == 200
        new = (await join(deploy, await token(deploy, name="n1"), "n1")).json()["data"]["credential"]
        assert (await beat(deploy, old, "n1"), await beat(deploy, new, "n1")) == (401, 200)


async def test_join_with_a_token_that_is_no_good_says_why(lite_deploy: Deploy) -> None:
    old = await token(lite_deploy)
    async with lite_deploy.core.db.write() as conn:
        await conn.execute(update(join_token).values(expires_ms=1))
    for given, reason in ((old, "JOIN_TOKEN_EXPIRED"), ("fdj_x", "JOIN_TOKEN_UNKNOWN"), (NODE, "JOIN_TOKEN_UNKNOWN")):
        answer = await join(lite_deploy, given)
        assert (answer.status_code, answer.json()["reason"]) == (401, reason)
    for ttl in (59, 7 * 86_400 + 1):
        with pytest.raises(FunaiError, match="ttlSeconds"):
            await token(lite_deploy, ttlSeconds=ttl)
    await lite_deploy.core.joining.create(NewJoinToken())
    kept = await lite_deploy.core.db.fetch_all(select(join_token))
    assert len(kept) == 1, "one that ended long ago goes when another is made"


async def test_leave_refuses_while_apps_are_placed_and_takes_the_credential_along(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        own = (await join(deploy, await token(deploy))).json()["data"]["credential"]
        assert await beat(deploy, own, "n1") == 200
        async with deploy.core.db.write() as conn:
            row = {"app_id": 7, "node_id": 1, "user_id": 1, "last_active_at": 1, "created_ms": 1}
            await conn.execute(insert(placement).values(row))
        said = await call(deploy, "POST", "leave", own, json={"nodeName": "n1"})
        assert (said.status_code, said.json()["reason"]) == (409, "NODE_HAS_APPS")
        params = {"name": "n1", "force": "true", "empty": "true"}
        with pytest.raises(FunaiError, match="--with-apps"):
            await deploy.api.admin("POST", "/admin/runtime-nodes/remove", ADMIN, params=params)
        left = await call(deploy, "POST", "leave", own, json={"nodeName": "n1", "withApps": True})
        assert left.json()["data"]["apps"] == [7]
        assert await beat(deploy, own, "n1") == 401
        assert await deploy.api.admin("GET", "/admin/credentials/list", ADMIN) == []


async def test_leave_with_the_secret_that_nodes_share_is_refused(lite_deploy: Deploy) -> None:
    await lite_deploy.node("n1")
    said = await call(lite_deploy, "POST", "leave", NODE, json={"nodeName": "n1"})
    assert (said.status_code, said.json()["reason"]) == (403, "CREDENTIAL_NEEDED")


async def test_join_is_behind_the_nodes_address_list(sqlite_url: str) -> None:
    async with deploying(sqlite_url, node_registry_allowed_ips=["10.9.0.0/16"]) as deploy:
        assert (await join(deploy, await token(deploy))).json()["reason"] == "IP_FORBIDDEN"


@pytest.fixture(params=["sqlite_url", "postgres_url", "mariadb_url"])
def fresh_url(request: pytest.FixtureRequest) -> str:
    """A database of the test's own, without tables."""
    return request.getfixturevalue(request.param)


async def test_migration_0008_is_undone_and_done_again(fresh_url: str) -> None:
    db = Database(fresh_url)

    def to(revision: str) -> Callable[[Connection], set[str]]:
        def work(conn: Connection) -> set[str]:
            config = Config()
            config.set_main_option("script_location", str(main.MIGRATIONS))
            config.attributes["connection"] = conn
            (command.downgrade if revision < "0008" else command.upgrade)(config, revision)
            looked = inspect(conn)
            return {"agent_version"} & {c["name"] for c in looked.get_columns("fun_ai_deploy_runtime_node")} | {
                "fun_ai_deploy_join_token"
            } & set(looked.get_table_names())

        return work

    await migrate.alone(db, to("0008"))
    assert await migrate.alone(db, to("0007")) == set()
    assert await migrate.alone(db, to("0008")) == {"agent_version", "fun_ai_deploy_join_token"}
    await db.close()
