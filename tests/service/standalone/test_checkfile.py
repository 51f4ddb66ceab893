"""``funai config check FILE`` with a service's file of before."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from funai.cli.main import add_standalone, build
from tests.service.standalone.test_operate import funai

OLD = """\
server.port=7002
spring.datasource.url=jdbc:mysql://172.21.138.91:3306/funai?serverTimezone=Asia/Shanghai
spring.datasource.username=funai
spring.datasource.password=sesame
deploy.proxy-auth.shared-secret=CHANGE_ME
deploy.admin.token=two-secret
deploy.runtime-node-registry.shared-secret=three-secret
deploy.job.persistence.enabled=true
deploy.runtime-agent.tokens=four-secret
"""


@pytest.fixture
def app() -> typer.Typer:
    made = build()
    add_standalone(made)
    return made


def test_config_check_of_an_old_file_tells_each_key_and_prints_it_in_todays(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "application-prod.properties"
    file.write_text(OLD)
    said = funai(app, "config", "check", file, "--json")
    fates = {k["key"]: (k["fate"], k["told"]) for k in said.document["keys"]}
    assert said.code == 2, "one secret is a placeholder"
    assert said.document["problems"][0].startswith("deploy.proxy-auth.shared-secret")
    assert fates["server.port"] == ("translated", "is deploy.server.port now, and read as that")
    assert fates["deploy.job.persistence.enabled"][0] == "obsolete"
    assert (
        fates["deploy.runtime-agent.tokens"][1] == "nobody reads this key; the nearest known one is deploy.runtime-agent.token"
    )
    assert said.document["today"]["deploy.datasource.time-zone"] == "Asia/Shanghai"
    file.write_text(OLD.replace("CHANGE_ME", "one-secret"))
    text = funai(app, "config", "check", file)
    assert text.code == 0, text
    assert "deploy.datasource.url=mysql://funai:sesame@172.21.138.91:3306/funai" in text.out
    assert funai(app, "config", "check", file, "--service", "nobody").code == 2


def test_config_check_of_an_env_file_reads_its_quotes_as_systemd_does(app: typer.Typer, tmp_path: Path) -> None:
    file = tmp_path / "runner.env"
    file.write_text(
        "RUNTIME_AGENT_TOKEN='four-secret'\nexport ACR_USERNAME='robot$push'\nACR_PASSWORD=\"pa\\\"ss\\$\"\nRUNNER_SLOT=2\n"
    )
    said = funai(app, "config", "check", file, "--service", "runner", "--json")
    assert said.code == 0, said
    today = said.document["today"]
    assert (today["REGISTRY_USERNAME"], today["REGISTRY_PASSWORD"]) == ("robot$push", 'pa"ss$')
    assert today["RUNTIME_AGENT_TOKEN"] == "four-secret"
    told = {k["key"]: k["told"] for k in said.document["keys"]}
    assert told["RUNNER_SLOT"] == "nobody reads this key; the nearest known one is RUNNER_SLOTS"
