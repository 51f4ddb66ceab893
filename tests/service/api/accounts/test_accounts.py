"""Accounts, logins, API keys, SSH keys, and what an operator may do about them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh

from funai.api import main as api_main
from tests.service.api.platform import BASE, PASSWORD, Person, Platform


def public_key(kind: str = "ssh-ed25519", **kw: Any) -> str:
    return asyncssh.generate_private_key(kind, comment="ada@laptop", **kw).export_public_key().decode()  # pyright: ignore[reportUnknownMemberType]


async def login(platform: Platform, name: str, password: str, address: str = "") -> Any:
    headers = {"X-Forwarded-For": address} if address else {}
    return await platform.http.post(f"{BASE}/auth/login", json={"userName": name, "password": password}, headers=headers)


async def test_register_login_and_who_am_i(platform: Platform) -> None:
    ada = await platform.person("Ada")
    assert ada.token.startswith("Bearer ")
    me = await ada.call("GET", "/user/me")
    assert (me["id"], me["userName"], me["admin"]) == (ada.id, "Ada", False)
    assert (await platform.sign_in("ADA")).id == ada.id
    assert "password" not in str(me).lower()


async def test_an_unknown_name_and_a_wrong_password_look_alike(platform: Platform) -> None:
    await platform.person("ada")
    answers = [
        (await login(platform, name, "wrong password")).json() for name in ("ada", "nobody", "名字", "a\u0000b", "x" * 64)
    ]
    assert {(a["code"], a["reason"], a["message"]) for a in answers} == {(401, "BAD_CREDENTIALS", "用户名或密码错误")}


WILL_NOT_DO = [
    ("ab", PASSWORD, "USER_NAME_INVALID"),
    ("-abc", PASSWORD, "USER_NAME_INVALID"),
    ("a b c", PASSWORD, "USER_NAME_INVALID"),
    ("abc\n", PASSWORD, "USER_NAME_INVALID"),
    ("abc", "short", "PASSWORD_WEAK"),
    ("abc", "x" * 129, "PASSWORD_WEAK"),
]


async def test_names_and_passwords_that_will_not_do(platform: Platform) -> None:
    for name, password, reason in WILL_NOT_DO:
        answer = (await platform.http.post(f"{BASE}/auth/register", json={"userName": name, "password": password})).json()
        assert (answer["code"], answer["reason"]) == (400, reason), name


async def test_too_many_logins_are_slowed_down_by_address_and_name(tmp_path: Path) -> None:
    async with Platform(tmp_path, login_attempts=3, trusted_proxies=["127.0.0.1"]).running() as platform:
        await platform.person("ada")
        await platform.person("bob")
        codes = [(await login(platform, "ada", "wrong password", "203.0.113.1")).status_code for _ in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        assert (await login(platform, "ada", PASSWORD, "203.0.113.1")).json()["reason"] == "TOO_MANY"
        assert (await login(platform, "bob", PASSWORD, "203.0.113.1")).status_code == 200
        assert (await login(platform, "ada", PASSWORD, "203.0.113.2")).status_code == 200


async def test_a_success_wipes_the_slate(tmp_path: Path) -> None:
    async with Platform(tmp_path, login_attempts=2).running() as platform:
        await platform.person("ada")
        for _ in range(4):
            assert (await login(platform, "ada", "wrong password")).status_code == 401
            assert (await login(platform, "ada", PASSWORD)).status_code == 200


NOBODYS: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer x.y.z"},
    {"Authorization": "Basic YTpi"},
    {"X-API-Key": "fak_nothing"},
    {"X-API-Key": ""},
]


async def test_without_a_login_everything_else_is_shut(platform: Platform) -> None:
    for headers in NOBODYS:
        answer = await platform.http.get(f"{BASE}/user/me", headers=headers)
        assert answer.status_code == 401, headers
        assert answer.json()["data"] is None
        assert answer.json()["traceId"]
    for path, calls in platform.api.openapi()["paths"].items():
        for method in calls:
            answer = await platform.http.request(method, f"http://test{path}", params={"appId": 1})
            signs_in = path.endswith(("/auth/login", "/auth/register"))
            assert answer.status_code == (400 if signs_in else 401), (method, path, answer.text)


async def test_an_api_key_works_until_the_next_and_is_kept_as_a_hash(platform: Platform) -> None:
    ada = await platform.person("ada")
    first = (await ada.call("PUT", "/user/api-key"))["apiKey"]

    async def me(key: str) -> int:
        return (await platform.http.get(f"{BASE}/user/me", headers={"X-API-Key": key})).status_code

    assert await me(first) == 200
    second = (await ada.call("PUT", "/user/api-key"))["apiKey"]
    assert (await me(first), await me(second)) == (401, 200)
    stored = platform.settings.datasource_url.removeprefix("sqlite:///")
    kept = b"".join(p.read_bytes() for p in Path(stored).parent.glob("api.db*"))
    assert second.encode() not in kept
    assert PASSWORD.encode() not in kept


async def test_a_password_change_ends_other_logins_and_the_api_key(platform: Platform) -> None:
    ada = await platform.person("ada")
    key = {"X-API-Key": (await ada.call("PUT", "/user/api-key"))["apiKey"]}
    other = await platform.sign_in("ada")
    wrong = {"oldPassword": "not the one", "newPassword": "another good one"}
    assert await ada.refused("PUT", "/user/password", json=wrong) == "401 BAD_CREDENTIALS"
    answer = await ada.raw("PUT", "/user/password", json={"oldPassword": PASSWORD, "newPassword": "another good one"})
    assert answer.status_code == 200
    assert await other.refused("GET", "/user/me") == "401 UNAUTHENTICATED"
    assert (await platform.http.get(f"{BASE}/user/me", headers=key)).status_code == 401
    assert await Person(platform.http, ada.id, answer.headers["Authorization"]).call("GET", "/user/me")
    assert (await login(platform, "ada", PASSWORD)).status_code == 401
    assert (await login(platform, "ada", "another good one")).status_code == 200


async def test_a_password_reset_ends_logins_and_the_api_key(platform: Platform) -> None:
    ada = await platform.person("ada")
    key = (await ada.call("PUT", "/user/api-key"))["apiKey"]
    await platform.core.accounts.set_password(ada.id, "another good one")
    assert await ada.refused("GET", "/user/me") == "401 UNAUTHENTICATED"
    assert (await platform.http.get(f"{BASE}/user/me", headers={"X-API-Key": key})).status_code == 401


async def test_the_first_admin_is_made_once(platform: Platform) -> None:
    root = await platform.admin()
    again = await api_main.ensure_admin(platform.api, "root", "another good one")
    assert again.id == root.id
    assert (await login(platform, "root", PASSWORD)).status_code == 200
    assert (await root.call("GET", "/user/me"))["admin"] is True


async def test_the_first_admin_may_come_from_the_settings(tmp_path: Path) -> None:
    async with Platform(tmp_path, admin_name="boss", admin_password=PASSWORD).running() as platform:
        boss = await platform.sign_in("boss")
        assert (await boss.call("GET", "/user/me"))["admin"] is True


async def test_deploying_can_be_switched_off(tmp_path: Path) -> None:
    async with Platform(tmp_path, deploy_enabled=False).running() as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "503 DEPLOY_DISABLED"
        assert await ada.call("GET", "/deploy/app/list") == []
        assert (await ada.call("POST", "/app/delete", params={"appId": app_id}))["complete"] is True


async def test_a_crowd_is_served(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    answers = await asyncio.gather(*(ada.raw("GET", "/user/me") for _ in range(150)))
    assert {a.status_code for a in answers} == {200}


async def test_registration_can_be_closed(tmp_path: Path) -> None:
    async with Platform(tmp_path, registration_open=False).running() as platform:
        answer = await platform.http.post(f"{BASE}/auth/register", json={"userName": "ada", "password": PASSWORD})
        assert (answer.status_code, answer.json()["reason"]) == (403, "REGISTRATION_CLOSED")


async def test_an_operator_shuts_accounts_and_apps(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    app_id = await platform.ready(ada)
    assert await ada.refused("GET", "/admin/users/list") == "403 FORBIDDEN"
    assert [u["userName"] for u in await root.call("GET", "/admin/users/list")] == ["ada", "root"]
    disabled = await root.call("POST", "/admin/apps/set-disabled", params={"appId": app_id, "disabled": True})
    assert disabled["appStatus"] == 5
    assert str(app_id) not in platform.node.running
    assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "409 APP_DISABLED"
    await root.call("POST", "/admin/apps/set-disabled", params={"appId": app_id, "disabled": False})
    assert (await ada.deploy(app_id))["status"] == "PENDING"
    await root.call("POST", "/admin/users/set-disabled", params={"userId": ada.id, "disabled": True})
    assert await ada.refused("GET", "/user/me") == "401 UNAUTHENTICATED"
    assert (await login(platform, "ada", PASSWORD)).json()["reason"] == "USER_DISABLED"
    last = {"userId": root.id, "disabled": True}
    assert await root.refused("POST", "/admin/users/set-disabled", params=last) == "409 LAST_ADMIN"


async def test_an_account_shut_out_keeps_its_apps_unless_they_are_stopped_too(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    serving, deploying = await platform.ready(ada), await ada.app()
    await ada.deploy(deploying)
    shut = {"userId": ada.id, "disabled": True}
    await root.call("POST", "/admin/users/set-disabled", params=shut)
    assert str(serving) in platform.node.running
    await root.call("POST", "/admin/users/set-disabled", params={**shut, "stopApps": True})
    assert platform.node.running == set()
    rows = [await platform.core.apps.find(app_id) for app_id in (serving, deploying)]
    assert [row.slot for row in rows] == [0, 0]
    jobs = await root.call("GET", "/deploy/job/history", params={"userId": ada.id, "appId": deploying})
    assert jobs[0]["status"] == "CANCELLED"


async def test_nodes_are_handed_on_to_deploy_for_admins_alone(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    assert [n["name"] for n in await root.call("GET", "/admin/deploy-nodes/list")] == ["n1"]
    off = await root.call("POST", "/admin/deploy-nodes/set-enabled", params={"name": "n1", "enabled": False})
    assert off["enabled"] is False
    assert await root.call("GET", "/admin/deploy-nodes/placements", params={"nodeId": 1}) == {
        "nodeId": 1,
        "total": 0,
        "items": [],
    }
    assert await root.call("GET", "/admin/runners/list") == await root.call("GET", "/admin/deploy-nodes/runners/list")
    missing = {"appId": 7, "targetNodeId": 99}
    assert (await root.refused("POST", "/admin/deploy-nodes/reassign", json=missing)).startswith("404")
    for path in ("/admin/deploy-nodes/list", "/admin/runners/list"):
        assert await ada.refused("GET", path) == "403 FORBIDDEN"


async def test_keys_belong_to_one_person(platform_on: Platform) -> None:
    ada, bob = await platform_on.person("ada"), await platform_on.person("bob")
    key = public_key()
    added = await ada.call("POST", "/user/keys", json={"title": "laptop", "publicKey": key})
    assert added["fingerprint"].startswith("SHA256:")
    same = " ".join(key.split()[:2]) + " another comment\n"
    for person in (ada, bob):
        assert await person.refused("POST", "/user/keys", json={"publicKey": same}) == "409 KEY_TAKEN"
    assert await bob.refused("DELETE", "/user/keys", params={"id": added["id"]}) == "404 KEY_NOT_FOUND"
    await ada.call("DELETE", "/user/keys", params={"id": added["id"]})
    assert (await bob.call("POST", "/user/keys", json={"publicKey": same}))["title"] == "another comment"
    assert await ada.call("GET", "/user/keys") == []


async def test_racing_for_a_key_and_for_the_last_place(platform_on: Platform) -> None:
    ada, bob = await platform_on.person("ada"), await platform_on.person("bob")
    key = {"publicKey": public_key()}
    answers = await asyncio.gather(*(p.raw("POST", "/user/keys", json=key) for p in (ada, bob) * 3))
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409, 409]
    platform_on.core.keys.limit = 4
    answers = await asyncio.gather(*(ada.raw("POST", "/user/keys", json={"publicKey": public_key()}) for _ in range(8)))
    assert len(await ada.call("GET", "/user/keys")) == 4
    assert {a.json().get("reason") for a in answers} <= {None, "KEY_LIMIT"}
