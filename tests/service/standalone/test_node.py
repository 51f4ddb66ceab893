"""A machine that joins and leaves a real Deploy: its settings file, the unit, and what is refused."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from funai.agent.settings import RuntimeSettings
from funai.base.aio import bind
from funai.base.clients.deploy import NodeDeployClient
from funai.cli.diagnosis import Level
from funai.contracts.errors import ConfigError, Conflict
from funai.contracts.nodes import LeaveNode, NodeHeartbeat
from funai.gateway.settings import GatewaySettings
from funai.standalone.node import service, settings_file, verbs
from funai.standalone.node.join import NotHeard, Wish, checks, join, leave
from funai.standalone.node.service import NAME, Systemd, unit_text
from funai.standalone.node.settings_file import Addresses
from tests.service.deploy.queue.kit import ADMIN, Deploy, deploying

AT = Addresses("http://deploy", "http://127.0.0.1:7105", "http://127.0.0.1:8100", 8100)


@pytest.fixture
async def deploy(sqlite_url: str) -> AsyncIterator[Deploy]:
    async with deploying(sqlite_url) as made:
        yield made


@dataclass
class Agent:
    """Reads the settings file as the agent's process does, and sends one heartbeat with what it says."""

    http: httpx.AsyncBaseTransport
    loop: asyncio.AbstractEventLoop
    beats: bool = True
    started: list[RuntimeSettings] = field(default_factory=list[RuntimeSettings])
    stopped: int = 0

    def start(self, config: Path, engine: str) -> None:
        settings = RuntimeSettings.load(config, environ={})
        GatewaySettings.load(config, environ={})
        assert settings.docker_bin == engine
        self.started.append(settings)
        if self.beats:
            asyncio.run_coroutine_threadsafe(self._beat(settings), self.loop).result(60)

    async def _beat(self, settings: RuntimeSettings) -> None:
        assert settings.deploy_node_token is not None
        client = NodeDeployClient(settings.deploy_base_url, settings.deploy_node_token.get_secret_value(), http=self.http)
        beat = NodeHeartbeat(
            node_name=settings.node_name,
            agent_base_url=settings.node_agent_base_url,
            gateway_base_url=settings.node_gateway_base_url,
            disk_free_pct=70,
        )
        await client.heartbeat(beat)
        await client.close()

    def stop(self, config: Path) -> None:
        assert config.exists()
        self.stopped += 1


async def new_token(deploy: Deploy, **asked: Any) -> str:
    return (await deploy.api.admin("POST", "/admin/join-tokens/create", ADMIN, json=asked))["token"]


def agent_of(asked: Wish, **more: Any) -> Agent:
    assert asked.http is not None
    return Agent(asked.http, asyncio.get_running_loop(), **more)


def wish(deploy: Deploy, config: Path, token: str, **more: Any) -> Wish:
    transport = httpx.ASGITransport(app=deploy.app, raise_app_exceptions=False)
    return replace(Wish("n1", AT, config, "podman", "en", lambda: token, http=transport), **more)


async def listed(deploy: Deploy) -> list[tuple[str, str]]:
    return [(n["name"], n["health"]) for n in await deploy.api.admin("GET", "/admin/runtime-nodes/list", ADMIN)]


async def test_join_ends_when_deploy_hears_of_the_node_and_again_needs_no_token(deploy: Deploy, tmp_path: Path) -> None:
    config, said = tmp_path / "etc" / "agent.properties", list[str]()
    asked = wish(deploy, config, await new_token(deploy))
    agent = agent_of(asked)
    seen = await join(asked, agent, said.append)
    assert (seen.name, seen.health.value) == ("n1", "HEALTHY")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    [settings] = agent.started
    assert (settings.host, settings.port, settings.token.get_secret_value()) == ("127.0.0.1", 7105, "s3cret-agent")
    assert not any("fdc_" in line or "fdj_" in line for line in said), "no secret is shown"

    config.write_text(config.read_text() + "RUNTIME_APP_MEMORY=1g\n# by hand\n")
    credential = settings_file.read(config)["DEPLOY_NODE_TOKEN"]
    again = replace(asked, token=lambda: pytest.fail("a token was asked for"), extra={"REGISTRY_PASSWORD": "p=w #d"})
    await join(again, agent, said.append)
    kept = settings_file.read(config)
    assert (kept["DEPLOY_NODE_TOKEN"], kept["RUNTIME_APP_MEMORY"], kept["REGISTRY_PASSWORD"]) == (credential, "1g", "p=w #d")
    assert "# by hand" in config.read_text()
    assert await listed(deploy) == [("n1", "HEALTHY")]


async def test_join_whose_agent_stays_silent_says_where_to_look(deploy: Deploy, tmp_path: Path) -> None:
    asked = wish(deploy, tmp_path / "agent.properties", await new_token(deploy), wait_seconds=0.01)
    agent = agent_of(asked, beats=False)
    with pytest.raises(NotHeard, match="journalctl"):
        await join(asked, agent, lambda _: None)
    assert await listed(deploy) == [("n1", "STALE")]


async def test_join_with_a_refused_token_starts_nothing_and_writes_no_file(deploy: Deploy, tmp_path: Path) -> None:
    await deploy.node("n1")
    config = tmp_path / "agent.properties"
    asked = wish(deploy, config, await new_token(deploy))
    agent = agent_of(asked)
    with pytest.raises(Conflict, match="funai nodes token --name n1"):
        await join(asked, agent, lambda _: None)
    assert (agent.started, config.exists()) == ([], False)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"name": "节点 4"}, "RUNTIME_NODE_NAME"),
        ({"at": replace(AT, agent="http://a b:7005")}, "--agent-url"),
        ({"extra": {"RUNTIME_APP_MEMORY": "much"}}, "RUNTIME_APP_MEMORY"),
    ],
)
async def test_join_with_what_the_agent_would_refuse_leaves_the_token_unused(
    deploy: Deploy, tmp_path: Path, more: dict[str, Any], named: str
) -> None:
    token = await new_token(deploy)
    asked = wish(deploy, tmp_path / "agent.properties", token, **more)
    with pytest.raises(ConfigError) as refused:
        await join(asked, agent_of(asked), lambda _: None)
    assert named in refused.value.problems[0] and token not in str(refused.value.problems)
    good = wish(deploy, tmp_path / "agent.properties", token)
    assert (await join(good, agent_of(good), lambda _: None)).name == "n1"


async def test_join_without_an_agent_token_keeps_what_the_token_bought(sqlite_url: str, tmp_path: Path) -> None:
    async with deploying(sqlite_url, agent_token=None) as deploy:
        asked = wish(deploy, tmp_path / "agent.properties", await new_token(deploy))
        agent = agent_of(asked)
        with pytest.raises(ConfigError) as refused:
            await join(asked, agent, lambda _: None)
        assert "RUNTIME_AGENT_TOKEN" in refused.value.problems[0]
        again = replace(asked, token=lambda: pytest.fail("a token was asked for"), extra={"RUNTIME_AGENT_TOKEN": "t0ken"})
        assert (await join(again, agent, lambda _: None)).name == "n1"


async def test_leave_forgets_the_node_and_stops_the_agent(deploy: Deploy, tmp_path: Path) -> None:
    config = tmp_path / "agent.properties"
    asked = wish(deploy, config, await new_token(deploy))
    agent = agent_of(asked)
    seen = await join(asked, agent, lambda _: None)
    await deploy.api.admin("POST", "/admin/runtime-nodes/reassign", ADMIN, json={"appId": 7, "targetNodeId": seen.node_id})
    with pytest.raises(Conflict) as refused:
        await leave(config, agent, with_apps=False, http=asked.http)
    assert (refused.value.reason, agent.stopped, config.exists()) == ("NODE_HAS_APPS", 0, True)
    assert await leave(config, agent, with_apps=True, http=asked.http) == 1
    assert (agent.stopped, config.exists(), await listed(deploy)) == (1, False, [])


async def test_leave_of_a_node_that_was_removed_cleans_up_here(deploy: Deploy, tmp_path: Path) -> None:
    config = tmp_path / "agent.properties"
    asked = wish(deploy, config, await new_token(deploy))
    agent = agent_of(asked)
    await join(asked, agent, lambda _: None)
    await deploy.core.joining.leave(LeaveNode(node_name="n1"))
    assert await leave(config, agent, with_apps=False, http=asked.http) is None
    assert (agent.stopped, config.exists()) == (1, False)


async def test_checks_name_what_keeps_a_machine_from_being_a_node(deploy: Deploy, tmp_path: Path) -> None:
    asked = wish(deploy, tmp_path / "agent.properties", "")
    found = await checks(asked, root=False, packages=["haproxy"], socket=str(tmp_path / "no.sock"), taken=lambda p: p == 8100)
    failed = {c.name: c.detail for c in found if c.level is Level.FAIL}
    assert list(failed) == ["root", "packages", "engine", "port 8100"]
    assert "--gateway-port" in failed["port 8100"]
    away = replace(asked, http=None, at=replace(AT, deploy="http://127.0.0.1:1"))
    assert next(
        c for c in await checks(away, root=True, packages=[], socket="", taken=lambda _: False) if c.name == "deploy"
    ).mend


def test_systemd_starts_the_packages_unit_with_this_machines_paths(tmp_path: Path) -> None:
    calls, systemctl = tmp_path / "calls", tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    systemctl.chmod(0o755)
    service = Systemd("/usr/local/bin/funai", folder=tmp_path, systemctl=str(systemctl))
    config = tmp_path / "agent.properties"
    service.start(config, "podman")
    unit = (tmp_path / NAME).read_text()
    assert f"ExecStart=/usr/local/bin/funai serve agent --config {config}\n" in unit
    assert "KillMode=process" in unit and "/opt/funai" not in unit
    assert calls.read_text().splitlines() == [
        "daemon-reload",
        "enable --now podman.socket",
        f"enable {NAME}",
        f"restart {NAME}",
    ]
    config.write_text(f"gateway.data-dir={tmp_path}\n")
    service.stop(config)
    assert not (tmp_path / NAME).exists()
    assert calls.read_text().splitlines()[4:] == [f"disable --now {NAME}", "daemon-reload"]
    systemctl.write_text("#!/bin/sh\necho no such unit >&2; exit 5\n")
    with pytest.raises(ConfigError) as refused:
        service.start(config, "podman")
    assert "no such unit" in refused.value.problems[0]


def test_unit_for_docker_waits_for_dockers_service() -> None:
    text = unit_text("/bin/funai", Path("/etc/my funai/100%.properties"), "docker")
    assert "docker.service" in text and "podman" not in text.replace("# The engine's API; for Docker", "")
    assert '--config "/etc/my funai/100%%.properties"' in text


def test_settings_with_a_line_break_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        settings_file.write(tmp_path / "f", {"A": "b\nDEPLOY_BASE_URL=http://evil"})


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("203.0.113.9", "0.0.0.0"), ("localhost", "0.0.0.0")]
)
def test_listen_address_is_the_machines_own_or_all(host: str, address: str) -> None:
    assert settings_file.listen_address(host) == address


def test_leave_of_a_machine_that_never_joined_or_whose_agent_still_runs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "has_systemd", lambda: False)
    app, config = typer.Typer(), tmp_path / "agent.properties"
    verbs.register(app)
    leaving = ["node", "leave", "--yes", "--config", str(config)]
    refused = CliRunner().invoke(app, leaving, env={"FUNAI_LANG": "en"})
    assert (refused.exit_code, "has not joined" in refused.stderr) == (2, True)
    with bind("127.0.0.1", 0) as held:
        config.write_text(f"RUNTIME_NODE_NAME=n1\nRUNTIME_AGENT_PORT={held.getsockname()[1]}\n")
        refused = CliRunner().invoke(app, leaving, env={"FUNAI_LANG": "en"})
    assert (refused.exit_code, "stop it in its supervisor" in refused.stderr) == (2, True)
    assert config.exists()


def test_dry_run_says_what_would_be_done_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, config = typer.Typer(), tmp_path / "agent.properties"
    verbs.register(app)
    monkeypatch.setenv("REGISTRY_PASSWORD", "pass-w0rd")
    words = ["node", "join", "--deploy-url", "http://127.0.0.1:1", "--config", str(config), "--dry-run", "--json"]
    told = CliRunner().invoke(app, words, env={"FUNAI_LANG": "en"})
    plan = json.loads(told.stdout)
    assert (told.exit_code, plan["ok"], config.exists()) == (1, False, False)
    assert plan["settings"]["RUNTIME_NODE_AGENT_BASE_URL"] == "http://127.0.0.1:7005"
    assert "REGISTRY_PASSWORD" in plan["settings"] and "pass-w0rd" not in told.stdout


@pytest.mark.parametrize(
    ("more", "port"),
    [
        ((), "8000"),
        (("--gateway-url", "http://127.0.0.1:8100"), "8100"),
        (("--gateway-url", "https://apps.example.com"), "8000"),
        (("--gateway-url", "https://apps.example.com", "--gateway-port", "8200"), "8200"),
    ],
)
def test_gateway_port_is_the_nodes_own_also_behind_an_edge(tmp_path: Path, more: tuple[str, ...], port: str) -> None:
    app = typer.Typer()
    verbs.register(app)
    words = ("node", "join", "--deploy-url", "http://127.0.0.1:1", "--config", str(tmp_path / "f"), "--dry-run", "--json")
    told = json.loads(CliRunner().invoke(app, [*words, *more]).stdout)
    assert told["settings"]["gateway.port"] == port
