"""The audit trail: who did what, from where; names and never values."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from funai.api.audit import trail
from tests.service.api.platform import BASE, PASSWORD, Person, Platform

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdLBSsfHyu8HvTbEhPGtGy8SvKxqH"


async def _entries(admin: Person, **params: Any) -> list[dict[str, Any]]:
    return await admin.call("GET", "/admin/audit/list", params=params)


def _told(entries: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(e["actorName"], e["action"], e["target"]) for e in entries]


async def test_audit_trail_names_what_people_did_newest_first(platform_on: Platform) -> None:
    ada, root = await platform_on.person("ada"), await platform_on.admin()
    app_id = await ada.app("商店")
    await ada.call("PUT", "/app/env", params={"appId": app_id}, json={"TOKEN": "s3cret-value", "B": "x"})
    await ada.call("DELETE", "/app/env", params={"appId": app_id, "name": "B"})
    await ada.call("POST", "/user/keys", json={"title": "laptop", "publicKey": KEY})
    await ada.call("PUT", "/user/api-key")
    await root.call("POST", "/admin/deploy-nodes/set-enabled", params={"name": "n1", "enabled": False})
    await root.call("POST", "/app/delete", params={"appId": app_id, "userId": ada.id})
    await root.call("POST", "/admin/users/set-disabled", params={"userId": ada.id, "disabled": True})
    entries = await _entries(root)
    fingerprint = next(e["target"] for e in entries if e["action"] == "SSH_KEY_ADDED")
    assert fingerprint.startswith("SHA256:")
    assert _told(entries) == [
        ("root", "USER_DISABLED", "ada"),
        ("root", "APP_DELETED", "商店"),
        ("root", "NODE_DISABLED", "n1"),
        ("ada", "API_KEY_RENEWED", ""),
        ("ada", "SSH_KEY_ADDED", fingerprint),
        ("ada", "VARIABLES_REMOVED", "商店"),
        ("ada", "VARIABLES_SET", "商店"),
        ("ada", "APP_CREATED", "商店"),
        ("root", "SIGNED_IN", ""),
        ("ada", "SIGNED_IN", ""),
        ("ada", "SIGNED_UP", ""),
    ]
    deleted, changed = entries[1], entries[6]
    assert (deleted["admin"], deleted["userId"], deleted["appId"], deleted["address"]) == (True, ada.id, app_id, "127.0.0.1")
    assert (changed["admin"], changed["detail"]) == (False, "B, TOKEN")
    assert "s3cret-value" not in str(entries)
    assert _told(await _entries(root, action="SIGNED_IN", actor="ada")) == [("ada", "SIGNED_IN", "")]
    assert len(await _entries(root, appId=app_id)) == 4
    first = await _entries(root, limit=2)
    assert _told(first + await _entries(root, limit=500, before=first[-1]["id"])) == _told(entries)


async def test_audit_trail_is_an_admins(platform: Platform) -> None:
    ada = await platform.person("ada")
    assert await ada.refused("GET", "/admin/audit/list") == "403 FORBIDDEN"
    assert (await platform.http.get(f"{BASE}/admin/audit/list")).status_code == 401


async def test_audit_trail_of_refused_sign_ins_keeps_no_password(platform: Platform) -> None:
    root = await platform.admin()
    for name in ("ada", f"{PASSWORD}!"):
        answer = await platform.http.post(f"{BASE}/auth/login", json={"userName": name, "password": "wrong wrong"})
        assert answer.status_code == 401
    refused = await _entries(root, action="SIGN_IN_REFUSED")
    assert [(e["actorName"], e["detail"], e.get("actorId")) for e in refused] == [
        ("", "BAD_CREDENTIALS", None),
        ("ada", "BAD_CREDENTIALS", None),
    ]


async def test_audit_trail_cuts_what_a_tenant_writes_too_long(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    app_id = await ada.app()
    await ada.call("PUT", "/app/env", params={"appId": app_id}, json={f"N{i}_{'X' * 60}": "v" for i in range(40)})
    entry = (await _entries(root, action="VARIABLES_SET"))[0]
    assert len(entry["detail"]) == trail.MAX_DETAIL
    assert entry["detail"].endswith("…")


async def test_audit_trail_prunes_by_age_and_of_users_by_count(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    for _ in range(3):
        await ada.call("PUT", "/user/api-key")
    for _ in range(3):
        await platform.http.post(f"{BASE}/auth/login", json={"userName": "ada", "password": "wrong wrong"})
    monkeypatch.setattr(trail, "MAX_USERS_ENTRIES", 2)
    monkeypatch.setattr(trail, "MAX_REFUSED_ENTRIES", 1)
    await platform.core.audit.prune()
    assert _told(await _entries(root)) == [
        ("ada", "SIGN_IN_REFUSED", ""),
        ("ada", "API_KEY_RENEWED", ""),
        ("ada", "API_KEY_RENEWED", ""),
        ("root", "SIGNED_IN", ""),
    ]
    platform.core.audit.days = -1
    await platform.core.audit.prune()
    assert await _entries(root) == []


async def test_what_was_done_does_not_fail_for_want_of_its_entry(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await platform.person("ada")
    with closing(sqlite3.connect(platform.settings.datasource_url.partition("///")[2])) as db:
        db.execute("DROP TABLE funai_audit")
    assert await ada.app("shop")
