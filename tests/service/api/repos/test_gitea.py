"""Apps whose repositories are in a Gitea. The scripted one speaks only what Gitea's published OpenAPI has."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from funai.api.repos.pushes import PUSH_PATH
from funai.api.repos.repositories import IN_GIT_SERVER, IN_GITEA
from funai.api.tables import apps
from tests.parts.gitea import TOKEN
from tests.parts.waiting import eventually
from tests.service.api.platform import Person, Platform, Refused
from tests.service.api.test_git import make_key

HOOK_SECRET = "hook-secret-hook-secret"
GITEA: dict[str, Any] = {
    "gitea_enabled": True,
    "gitea_base_url": "http://gitea.test:3000",
    "gitea_admin_token": TOKEN,
    "gitea_webhook_url": "http://api.test:8080/",
    "gitea_webhook_secret": HOOK_SECRET,
}


@asynccontextmanager
async def gitea_platform(folder: Path, **settings: Any) -> AsyncIterator[Platform]:
    async with Platform(folder, **{**GITEA, **settings}).running() as running:
        yield running
    assert running.gitea.transport.faults == []


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with gitea_platform(tmp_path) as running:
        yield running


async def refusal(person: Person, method: str, path: str, **kw: Any) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        await person.call(method, path, headers={"Accept-Language": "en"}, **kw)
    return refused.value.answer


async def status(person: Person, app_id: int) -> str:
    return (await person.call("GET", "/app/info", params={"appId": app_id}))["repoStatus"]


async def try_again_now(platform: Platform, app_id: int, *, succeeds: bool = True) -> None:
    """The API's own sweep may be the one that does it, hence the wait."""
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).where(apps.c.id == app_id).values(repo_next=1))
    await platform.core.repos.sweep()
    if succeeds:
        await eventually(lambda: _made_in_gitea(platform, app_id), seconds=20)


async def _made_in_gitea(platform: Platform, app_id: int) -> bool:
    row = await platform.core.apps.find(app_id)
    return row.repo_ready == IN_GITEA


async def test_new_app_gets_a_private_repository_with_rights_files_and_a_hook(platform: Platform) -> None:
    ada = await platform.person("ada")
    made = await ada.call("POST", "/app/create", json={})
    name = f"funai/u{ada.id}-app{made['id']}"
    assert (made["repoStatus"], made["repoSshUrl"]) == ("READY", f"ssh://git@git.test:2222/{name}.git")
    repo = platform.gitea.repos[name]
    assert (repo.private, repo.default_branch, repo.teams, repo.collaborators) == (True, "main", {7, 8}, {})
    assert set(repo.files) == {"README.md", ".gitignore", ".dockerignore"}
    (hook,) = repo.hooks
    assert hook["config"] == {
        "url": f"http://api.test:8080{PUSH_PATH}",
        "content_type": "json",
        "secret": HOOK_SECRET,
    }
    assert (hook["type"], hook["active"], hook["events"]) == ("gitea", True, ["push"])


async def test_bots_are_collaborators_where_there_is_no_team(platform: Platform) -> None:
    platform.gitea.teams, platform.gitea.users["workspace-bot"] = {}, False
    ada = await platform.person("ada")
    app_id = await ada.app()
    repo = platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"]
    assert repo.collaborators == {"runner-bot": "read", "workspace-bot": "write"}


async def test_missing_reader_names_the_setting_and_a_missing_writer_does_no_harm(platform: Platform) -> None:
    ada = await platform.person("ada")
    del platform.gitea.teams["workspace-write"]
    assert await status(ada, await ada.app()) == "READY"
    del platform.gitea.teams["runner-readonly"]
    del platform.gitea.users["runner-bot"]
    app_id = await ada.app()
    assert await status(ada, app_id) == "PENDING"
    deploy = {"params": {"userId": ada.id, "appId": app_id}}
    answer = await refusal(ada, "POST", "/deploy/job/create", **deploy)
    assert (answer["code"], answer["reason"]) == (502, "REPO_HOST_FAILED")
    assert "gitea.runner-team" in answer["message"]


async def test_gitea_away_leaves_the_app_pending_until_it_is_back(platform: Platform) -> None:
    ada = await platform.person("ada")
    platform.gitea.away = True
    app_id = await ada.app()
    assert await status(ada, app_id) == "PENDING"
    deploy = {"params": {"userId": ada.id, "appId": app_id}}
    assert "does not answer" in (await refusal(ada, "POST", "/deploy/job/create", **deploy))["message"]
    await try_again_now(platform, app_id, succeeds=False)
    assert await status(ada, app_id) == "PENDING"
    platform.gitea.away = False
    await try_again_now(platform, app_id)
    assert await status(ada, app_id) == "READY"
    await ada.deploy(app_id)


@pytest.mark.parametrize("code", [401, 403])
async def test_refused_token_is_named_with_its_setting_and_owner(platform: Platform, code: int) -> None:
    ada = await platform.person("ada")
    platform.gitea.refusing = code
    app_id = await ada.app()
    answer = await refusal(ada, "POST", "/deploy/job/create", params={"userId": ada.id, "appId": app_id})
    assert "gitea.admin-token" in answer["message"]
    assert "operator" in answer["message"]
    assert TOKEN not in json.dumps(answer)


@pytest.mark.parametrize("call", ["POST /orgs", "POST /repos/", "PUT /teams", "GET /repos/funai/u1-app1/hooks"])
async def test_order_that_was_cut_short_is_completed_by_the_next(platform: Platform, call: str) -> None:
    ada = await platform.person("ada")
    platform.gitea.fail_at = call
    app_id = await ada.app()
    assert await status(ada, app_id) == "PENDING"
    await try_again_now(platform, app_id)
    repo = platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"]
    assert (await status(ada, app_id), len(repo.files), repo.teams, len(repo.hooks)) == ("READY", 3, {7, 8}, 1)


async def test_app_from_the_built_in_git_server_gets_a_repository_in_gitea(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.gitea.repos.clear()
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).values(repo_ready=IN_GIT_SERVER, repo_next=10**15))
    assert await status(ada, app_id) == "PENDING"
    await try_again_now(platform, app_id)
    assert (await status(ada, app_id), set(platform.gitea.repos)) == ("READY", {f"funai/u{ada.id}-app{app_id}"})


async def test_templates_stay_out_of_a_repository_that_has_code(platform: Platform) -> None:
    ada = await platform.person("ada")
    platform.gitea.fail_at = "PUT /teams"
    app_id = await ada.app()
    repo = platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"]
    repo.files = {"server.js": b"1"}
    await try_again_now(platform, app_id)
    assert (await status(ada, app_id), set(repo.files)) == ("READY", {"server.js"})


async def test_uninitialised_repository_stays_empty_for_a_first_push(tmp_path: Path) -> None:
    async with gitea_platform(tmp_path, gitea_auto_init=False, gitea_default_branch="trunk") as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        repo = platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"]
        assert (repo.files, repo.default_branch) == ({}, "trunk")


async def test_deleted_apps_repository_goes_now_or_when_gitea_is_back(platform: Platform) -> None:
    ada = await platform.person("ada")
    first, second = await ada.app(), await ada.app()
    done = await ada.call("POST", "/app/delete", params={"appId": first})
    assert done["complete"]
    assert set(platform.gitea.repos) == {f"funai/u{ada.id}-app{second}"}
    platform.gitea.away = True
    done = await ada.call("POST", "/app/delete", params={"appId": second})
    assert [s["step"] for s in done["steps"] if not s["ok"]] == ["repository"]
    platform.gitea.away = False
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).values(delete_next=1))
    await eventually(lambda: not platform.gitea.repos, seconds=10)


async def test_app_deleted_while_its_repository_is_made_leaves_none(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    row = await platform.core.apps.own(ada.id, app_id)
    await ada.call("POST", "/app/delete", params={"appId": app_id})
    await platform.core.repos.make(row)
    assert platform.gitea.repos == {}


async def tell(platform: Platform, name: str, *, secret: str = HOOK_SECRET, **changes: Any) -> int:
    event = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": "a" * 40,
        "commits": [{"message": "first"}],
        "repository": {"full_name": name},
        **changes,
    }
    body = json.dumps(event).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Gitea-Event": "push", "X-Gitea-Signature": signature, "Content-Type": "application/json"}
    return (await platform.http.post(PUSH_PATH, content=body, headers=headers)).status_code


async def test_signed_push_makes_a_created_app_uploaded(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    name = f"funai/u{ada.id}-app{app_id}"
    assert await tell(platform, name, secret="another-secret-another") == 401
    for other in ("other/u1-app1", "funai/x", "funai/u99-app1", f"funai/u{ada.id}-app{app_id}0"):
        assert await tell(platform, other) == 200
    assert await ada.status(app_id) == 0
    assert await tell(platform, name) == 200
    assert await ada.status(app_id) == 1


async def test_push_events_are_refused_where_no_hook_is_set_up(tmp_path: Path) -> None:
    async with gitea_platform(tmp_path, gitea_webhook_url="", gitea_webhook_secret=None) as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        assert platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"].hooks == []
        assert await tell(platform, f"funai/u{ada.id}-app{app_id}") == 401


# ---------------------------------------------------------------- people's own accounts


async def link(admin: Person, user_id: int, account: str | None) -> Any:
    params = {"userId": user_id, **({"account": account} if account else {})}
    return await admin.call("POST", "/admin/users/set-git-account", params=params)


async def test_linked_account_has_its_owners_keys_and_repositories(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    first, second = make_key(), make_key()
    key = await ada.call("POST", "/user/keys", json={"publicKey": first, "title": "laptop"})
    app_id = await ada.app()
    platform.gitea.keys["ada"] = [{"id": 1, "title": "my own", "key": "ssh-ed25519 OWN"}]

    assert (await link(root, ada.id, "Ada"))["gitAccount"] == "ada"
    await ada.call("POST", "/user/keys", json={"publicKey": second, "title": "desk"})
    later = await ada.app()
    assert [k["title"] for k in platform.gitea.keys["ada"]] == ["my own", "FunAI: laptop", "FunAI: desk"]
    for made in (app_id, later):
        assert platform.gitea.repos[f"funai/u{ada.id}-app{made}"].collaborators == {"ada": "write"}

    await ada.call("DELETE", "/user/keys", params={"id": key["id"]})
    assert [k["title"] for k in platform.gitea.keys["ada"]] == ["my own", "FunAI: desk"]
    await root.call("POST", "/admin/users/set-disabled", params={"userId": ada.id, "disabled": True})
    assert [k["title"] for k in platform.gitea.keys["ada"]] == ["my own"]
    assert "gitAccount" not in await link(root, ada.id, None)
    assert platform.gitea.repos[f"funai/u{ada.id}-app{app_id}"].collaborators == {}


async def test_key_change_while_gitea_is_away_is_made_up_for_by_the_sweep(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    key = await ada.call("POST", "/user/keys", json={"publicKey": make_key(), "title": "laptop"})
    await link(root, ada.id, "ada")
    platform.gitea.away = True
    await ada.call("DELETE", "/user/keys", params={"id": key["id"]})
    assert len(platform.gitea.keys["ada"]) == 1
    platform.gitea.away = False
    await platform.core.git_accounts.sweep()
    assert platform.gitea.keys["ada"] == []


async def test_accounts_that_are_not_a_persons_own_are_not_linked(platform: Platform) -> None:
    ada, bob, root = await platform.person("ada"), await platform.person("bob"), await platform.admin()
    await link(root, ada.id, "ada")
    refused: dict[str, str] = {}
    for user, account in ((bob, "boss"), (bob, "runner-bot"), (bob, "nobody"), (bob, "../ada"), (bob, "ada")):
        params = {"userId": user.id, "account": account}
        refused[account] = await root.refused("POST", "/admin/users/set-git-account", params=params)
    assert refused.pop("ada") == "409 GIT_ACCOUNT_TAKEN"
    assert set(refused.values()) == {"400 GIT_ACCOUNT_INVALID"}
    params = {"userId": bob.id, "account": "bob"}
    assert await bob.refused("POST", "/admin/users/set-git-account", params=params) == "403 FORBIDDEN"
