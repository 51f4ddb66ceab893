"""``funai harbor setup`` against a scripted Harbor that speaks only what Harbor's published OpenAPI has."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from funai.base.clients.registry.harbor_rules import endangering
from funai.cli.main import build
from tests.parts.harbor import PASSWORD, ScriptedHarbor
from tests.service.cli.world import Said

TEN: dict[str, Any] = {
    "id": 12,
    "algorithm": "or",
    "rules": [
        {
            "template": "latestPushedK",
            "action": "retain",
            "params": {"latestPushedK": 10},
            "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "**"}],
            "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]},
        }
    ],
    "trigger": {"kind": "Schedule", "settings": {"cron": "0 0 2 * * *"}},
    "scope": {"level": "project", "ref": 3},
}


@pytest.fixture
async def harbor() -> AsyncIterator[ScriptedHarbor]:
    scripted = ScriptedHarbor()
    yield scripted
    assert scripted.transport.faults == []


async def setup(harbor: ScriptedHarbor, *words: str, password: str | None = PASSWORD) -> Said:
    """In a thread: the verb has an event loop of its own."""
    environ = {"FUNAI_LANG": "en", "HARBOR_PASSWORD": password}

    async with harbor.served() as address:
        return await asyncio.to_thread(invoke, f"http://{address}", words, environ)


def invoke(url: str, words: tuple[str, ...], environ: dict[str, str | None]) -> Said:
    done = CliRunner().invoke(build(), ["harbor", "setup", url, *words], env=environ)
    return Said(done.exit_code, done.stdout, done.stderr)


async def steps(harbor: ScriptedHarbor, *words: str) -> dict[str, str]:
    said = await setup(harbor, "--json", *words)
    assert said.code == 0, said
    return {step["what"]: step["done"] for step in said.document["steps"]}


async def test_setup_makes_project_and_robots_and_says_where_each_login_goes(harbor: ScriptedHarbor) -> None:
    said = await setup(harbor)
    assert said.code == 0, said
    assert set(harbor.projects) == {"funaistudio"}
    assert [(r["name"], r["level"], r["duration"]) for r in harbor.robots] == [
        (f"robot$funaistudio+{name}", "project", -1) for name in ("funai-runner", "funai-node", "funai-cleanup")
    ]
    rights = [{(a["resource"], a["action"]) for a in r["permissions"][0]["access"]} for r in harbor.robots]
    assert rights[:2] == [{("repository", "pull"), ("repository", "push")}, {("repository", "pull")}]
    assert {("artifact", "delete"), ("tag-retention", "read")} <= rights[2]
    assert ("repository", "push") not in rights[2]
    for line in (
        "REGISTRY_USERNAME=robot$funaistudio+funai-runner",
        "REGISTRY_PASSWORD=secret-1",
        "REGISTRY_PASSWORD=secret-2",
        "deploy.registry.cleanup.username=robot$funaistudio+funai-cleanup",
        "deploy.registry.cleanup.password=secret-3",
        "deploy.registry.cleanup.insecure=true",
    ):
        assert line in said.out.splitlines(), said
    assert PASSWORD not in said.out + said.err


async def test_setup_again_changes_nothing_and_makes_no_new_secret(harbor: ScriptedHarbor) -> None:
    await setup(harbor)
    before = json.dumps(harbor.robots)
    assert set((await steps(harbor)).values()) == {"kept"}
    assert json.dumps(harbor.robots) == before


async def test_setup_mends_a_robot_that_can_not_do_its_work(harbor: ScriptedHarbor) -> None:
    await setup(harbor)
    harbor.robots[0]["disable"] = True
    harbor.robots[2]["permissions"][0]["access"] = [{"resource": "repository", "action": "list"}]
    done = await steps(harbor)
    assert (done["robot funai-runner"], done["robot funai-node"], done["robot funai-cleanup"]) == ("changed", "kept", "changed")
    assert not harbor.robots[0]["disable"]
    assert set((await steps(harbor)).values()) == {"kept"}


async def test_dry_run_says_what_it_would_do_and_does_nothing(harbor: ScriptedHarbor) -> None:
    done = await steps(harbor, "--dry-run", "--retention", "ours")
    assert set(done.values()) == {"would-make"}
    assert (harbor.projects, harbor.robots, harbor.policy) == ({}, [], None)
    assert all(asked.startswith("GET ") for asked in harbor.transport.asked)


async def test_rotated_secrets_are_written_into_files_of_their_owner(harbor: ScriptedHarbor, tmp_path: Path) -> None:
    await setup(harbor)
    said = await setup(harbor, "--rotate", "--out", str(tmp_path / "logins"))
    assert said.code == 0, said
    files = {f.name: f for f in (tmp_path / "logins").iterdir()}
    assert set(files) == {"runner.env", "agent.env", "deploy.properties"}
    assert "REGISTRY_PASSWORD=secret-4\n" in files["runner.env"].read_text()
    assert {stat.S_IMODE(f.stat().st_mode) for f in files.values()} == {0o600}
    assert "secret-" not in said.out


async def test_older_harbor_gets_a_clean_up_robot_that_can_not_read_the_policy(harbor: ScriptedHarbor) -> None:
    harbor.old = True
    said = await setup(harbor)
    assert said.code == 0, said
    assert "retention policy" in said.err
    resources = {a["resource"] for a in harbor.robots[2]["permissions"][0]["access"]}
    assert resources == {"repository", "artifact", "tag"}


async def test_policy_that_takes_needed_images_is_told_and_ended_on_request(harbor: ScriptedHarbor) -> None:
    harbor.projects["funaistudio"], harbor.policy = {}, TEN
    said = await setup(harbor)
    assert said.code == 0, said
    assert "latestPushedK(10)" in said.err
    assert "--retention off" in said.err
    assert harbor.policy == TEN
    assert (await steps(harbor, "--retention", "off"))["retention policy"] == "changed"
    assert endangering(harbor.policy) == []
    assert harbor.policy["trigger"]["settings"]["cron"] == ""
    assert (await steps(harbor, "--retention", "off"))["retention policy"] == "kept"


async def test_policy_of_ours_keeps_everything(harbor: ScriptedHarbor) -> None:
    assert (await steps(harbor, "--retention", "ours"))["retention policy"] == "made"
    assert harbor.policy and endangering(harbor.policy) == []
    harbor.policy = TEN
    assert (await steps(harbor, "--retention", "ours"))["retention policy"] == "changed"
    assert endangering(harbor.policy) == []


async def test_refused_login_and_bad_address_name_what_to_give(harbor: ScriptedHarbor) -> None:
    said = await setup(harbor, password="wrong")
    assert (said.code, "HARBOR_PASSWORD" in said.err) == (2, True), said
    said = await setup(harbor, password=None)
    assert (said.code, "HARBOR_PASSWORD" in said.err) == (2, True), said
    for url in ("harbor.example.com", "ftp://x", "https://user:pw@harbor.example.com", "https://x/path"):
        said = await asyncio.to_thread(invoke, url, (), {"FUNAI_LANG": "en", "HARBOR_PASSWORD": "x"})
        assert (said.code, url in said.err) == (2, True), said
