"""The Git server's questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh
from sqlalchemy import update

from funai.api.tables import apps
from tests.parts.waiting import eventually
from tests.service.api.platform import BASE, GIT, Person, Platform


def make_key() -> str:
    key = asyncssh.generate_private_key("ssh-ed25519")  # pyright: ignore[reportUnknownMemberType]
    return key.export_public_key().decode().strip()


async def ask(platform: Platform, key: str, repo: str, *, write: bool = False) -> dict[str, Any]:
    body = {"publicKey": key, "repo": repo, "write": write}
    answer = await platform.http.post(f"{BASE}/internal/git/access", json=body, headers={"X-Git-Token": GIT})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_a_key_opens_its_owners_repositories_alone(platform: Platform) -> None:
    ada, bob = await platform.person("ada"), await platform.person("bob")
    key = make_key()
    await ada.call("POST", "/user/keys", json={"publicKey": key})
    app_id, foreign = await ada.app(), await bob.app()
    own = f"funai/u{ada.id}-app{app_id}"
    assert platform.repos.made >= {own}
    granted = await ask(platform, key, own, write=True)
    assert (granted["allowed"], granted["userId"], granted["appId"]) == (True, ada.id, app_id)
    for repo in (
        f"funai/u{bob.id}-app{foreign}",
        f"funai/u{ada.id}-app{foreign}",
        f"funai/u{ada.id}-app999",
        "funai/x",
        "",
        "/",
        "..",
        f"other/u{ada.id}-app{app_id}",
        f"funai/u0{ada.id}-app{app_id}",
        f"{own}.git",
        f"{own}\n",
    ):
        if repo:
            assert (await ask(platform, key, repo))["allowed"] is False, repo
    refusals = [await ask(platform, key, r) for r in (f"funai/u{bob.id}-app{foreign}", f"funai/u{bob.id}-app999")]
    assert refusals[0] == refusals[1]


async def test_only_known_keys_are_let_in(platform: Platform) -> None:
    ada = await platform.person("ada")
    key = make_key()
    assert (await ask(platform, key, ""))["allowed"] is False
    await ada.call("POST", "/user/keys", json={"publicKey": key})
    assert (await ask(platform, key, ""))["allowed"] is True
    assert (await ask(platform, "not a key", ""))["allowed"] is False
    root = await platform.admin()
    await root.call("POST", "/admin/users/set-disabled", params={"userId": ada.id, "disabled": True})
    assert (await ask(platform, key, ""))["allowed"] is False


async def test_the_runner_reads_everything_and_writes_nothing(tmp_path: Path) -> None:
    key = make_key()
    async with Platform(tmp_path, git_runner_public_key=key).running() as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        repo = f"funai/u{ada.id}-app{app_id}"
        assert (await ask(platform, key, ""))["allowed"] is True
        assert (await ask(platform, key, repo))["allowed"] is True
        assert (await ask(platform, key, repo, write=True))["allowed"] is False
        assert (await ask(platform, key, "funai/u1-app999"))["allowed"] is False
        assert await ada.refused("POST", "/user/keys", json={"publicKey": key}) == "409 KEY_TAKEN"


async def test_the_first_push_uploads(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    body = {"appId": app_id, "userId": ada.id, "branches": ["main"]}
    for _ in range(2):
        answer = await platform.http.post(f"{BASE}/internal/git/pushed", json=body, headers={"X-Git-Token": GIT})
        assert answer.status_code == 200
        assert await ada.status(app_id) == 1
    other = await platform.ready(ada)
    body["appId"] = other
    await platform.http.post(f"{BASE}/internal/git/pushed", json=body, headers={"X-Git-Token": GIT})
    assert await ada.status(other) == 3


async def test_a_push_during_the_first_deploy_is_not_forgotten(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    job = await ada.deploy(app_id)
    body = {"appId": app_id, "userId": ada.id}
    await platform.http.post(f"{BASE}/internal/git/pushed", json=body, headers={"X-Git-Token": GIT})
    await ada.call("POST", "/deploy/job/cancel", params={"jobId": job["id"]})
    assert await ada.status(app_id) == 1


async def test_the_door_is_shut_without_the_token(platform: Platform) -> None:
    body = {"publicKey": "x", "repo": "", "write": False}
    for token in ("", "wrong", "Bearer x"):
        answer = await platform.http.post(f"{BASE}/internal/git/access", json=body, headers={"X-Git-Token": token})
        assert answer.status_code == 401


async def test_without_a_token_configured_nobody_is_answered(tmp_path: Path) -> None:
    running = Platform(tmp_path)
    running.settings = running.settings.model_copy(update={"git_internal_token": None})
    async with running.running() as platform:
        body = {"publicKey": "x", "repo": "", "write": False}
        answer = await platform.http.post(f"{BASE}/internal/git/access", json=body, headers={"X-Git-Token": ""})
        assert answer.status_code == 401


async def test_create_app_while_the_repository_host_is_away_makes_the_repository_later(platform: Platform) -> None:
    ada = await platform.person("ada")
    platform.repos.away = True
    made = await ada.call("POST", "/app/create", json={})
    assert (made["repoStatus"], platform.repos.made) == ("PENDING", set())
    deploy = {"params": {"userId": ada.id, "appId": made["id"]}}
    assert await ada.refused("POST", "/deploy/job/create", **deploy) == "502 REPO_HOST_FAILED"
    assert await ada.status(made["id"]) == 0

    platform.repos.away = False
    await _try_again_now(platform, made["id"])
    await eventually(lambda: _is_ready(ada, made["id"]), seconds=10)
    assert platform.repos.made == {f"funai/u{ada.id}-app{made['id']}"}


async def test_first_deploy_makes_a_repository_that_is_still_missing(platform: Platform) -> None:
    ada = await platform.person("ada")
    platform.repos.away = True
    app_id = await ada.app()
    platform.repos.away = False
    await ada.deploy(app_id)
    assert platform.repos.made == {f"funai/u{ada.id}-app{app_id}"}
    assert await _is_ready(ada, app_id)


async def _is_ready(person: Person, app_id: int) -> bool:
    return (await person.call("GET", "/app/info", params={"appId": app_id}))["repoStatus"] == "READY"


async def _try_again_now(platform: Platform, app_id: int) -> None:
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).where(apps.c.id == app_id).values(repo_next=1))
