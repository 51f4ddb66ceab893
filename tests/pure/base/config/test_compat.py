"""Configuration files of before: read in today's keys, and what in them nobody reads."""

from __future__ import annotations

import base64
import json
import os
import pwd
from pathlib import Path

import pytest

from funai.agent.settings import RuntimeSettings
from funai.api.settings import ApiSettings
from funai.base.config import compat, logins
from funai.base.config.settings import read_properties
from funai.deploy.settings import DeploySettings
from funai.runner.settings import RunnerSettings

JDBC = "jdbc:mysql://172.21.138.91:3306/funai?useSSL=false&serverTimezone=Asia/Shanghai&characterEncoding=utf8"
DEPLOY_FILE = f"""
server.port=7002
spring.datasource.url={JDBC}
spring.datasource.username=funai
spring.datasource.password=p@ss:w/rd
deploy.job.persistence.enabled=true
deploy.proxy-auth.shared-secret=one-secret
deploy.admin.token=two-secret
deploy.runtime-node-registry.shared-secret=three-secret
deploy.runner-auth.enabled=false
deploy.registry.cleanup.enabled=true
deploy.registry.cleanup.base-url=http://172.21.138.103
deploy.registry.cleanup.project=funaistudio
deploy.registry.cleanup.username=robot$cleanup
deploy.registry.cleanup.password=x
deploy.runtime-agent.timeout-second=5
logging.file.name=/var/log/x.log
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "application-prod.properties"
    written.write_text(DEPLOY_FILE)
    return written


def test_deploy_file_of_before_starts_todays_service(file: Path) -> None:
    s = DeploySettings.load(file, environ={})
    assert s.datasource_url == "mysql://funai:p%40ss%3Aw%2Frd@172.21.138.91:3306/funai"
    assert (s.host, s.port, s.time_zone) == ("0.0.0.0", 7002, "Asia/Shanghai")
    assert (s.cleanup_kind, s.cleanup_registry, s.cleanup_namespace) == ("harbor", "172.21.138.103", "funaistudio")
    assert s.cleanup_insecure


def test_todays_key_wins_over_one_of_before(file: Path) -> None:
    file.write_text(DEPLOY_FILE + "deploy.server.port=7003\ndeploy.server.host=127.0.0.1\n")
    s = DeploySettings.load(file, environ={"DEPLOY_DATASOURCE_URL": "sqlite:///x.db"})
    assert (s.host, s.port, s.datasource_url) == ("127.0.0.1", 7003, "sqlite:///x.db")


def test_examined_file_tells_each_key_and_the_nearest_known_one(file: Path) -> None:
    everybody = compat.known([DeploySettings, ApiSettings, RunnerSettings, RuntimeSettings])
    found = compat.examine([DeploySettings], everybody, read_properties(file))
    told = {line.key: (line.fate.value, line.told) for line in found.lines}
    assert told["deploy.admin.token"] == ("read", "")
    assert told["deploy.registry.cleanup.project"][0] == "translated"
    assert told["deploy.job.persistence.enabled"][0] == "obsolete"
    assert told["deploy.runtime-agent.timeout-second"] == (
        "unknown",
        "nobody reads this key; the nearest known one is deploy.runtime-agent.timeout-seconds",
    )
    assert told["logging.file.name"][0] == "obsolete"
    assert found.today["deploy.registry.cleanup.namespace"] == "funaistudio"
    again = DeploySettings.load(environ={k.replace(".", "_").replace("-", "_").upper(): v for k, v in found.today.items()})
    assert again == DeploySettings.load(file, environ={})


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("jdbc:mysql://h/db", "mysql://h/db"),
        ("jdbc:mariadb://h:3307/db?user=a&password=b%23c", "mariadb://a:b%23c@h:3307/db"),
        ("jdbc:postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("jdbc:oracle:thin:@h", "jdbc:oracle:thin:@h"),
        ("mysql://u:p@h/db", "mysql://u:p@h/db"),
    ],
)
def test_jdbc_address_becomes_a_plain_one(url: str, plain: str) -> None:
    assert compat.plain_url(url) == plain


def test_translated_file_keeps_its_log_folder() -> None:
    everybody = compat.known([RunnerSettings])
    given = {"RUNNER_ID": "runner-101", "FUNAI_LOG_DIR": "/data/funai/logs"}
    assert compat.examine([RunnerSettings], everybody, given).today == given


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("logging.file.name", "FUNAI_LOG_DIR"),
        ("FUNAI_LOG_MAX_BYTES", "20 MB"),
        ("spring.datasource.hikari.maximum-pool-size", "framework"),
        ("mybatis-plus.mapper-locations", "framework"),
    ],
)
def test_keys_that_set_up_the_framework_of_before_are_said_to_be_of_no_use(name: str, told: str) -> None:
    (line,) = compat.unread(compat.known([DeploySettings]), [name])
    assert line.fate is compat.Fate.OBSOLETE
    assert told in line.told


def test_runner_env_of_before_has_its_registry_login() -> None:
    env = {"RUNTIME_AGENT_TOKEN": "t-o-k", "ACR_USERNAME": "robot$push", "ACR_PASSWORD": "secret"}
    s = RunnerSettings.load(environ=env)
    assert s.registry_username == "robot$push"
    assert s.registry_password is not None
    assert s.registry_password.get_secret_value() == "secret"
    assert RunnerSettings.load(environ={**env, "REGISTRY_USERNAME": "today"}).registry_username == "today"


def test_api_file_of_before_has_its_origins() -> None:
    env = {"FUNAI_CORS_ALLOWED_ORIGIN_PATTERNS": "https://*.example.com, http://localhost:[*]"}
    needed = {"FUNAI_AUTH_JWT_SECRET": "j" * 40, "JWT_SECRET": "j" * 40, "DEPLOY_PROXY_SHARED_SECRET": "s3cret"}
    s = ApiSettings.load(environ={**env, **needed})
    assert s.cors_origins == ["https://*.example.com", "http://localhost:[*]"]


def test_runtime_limits_of_before_are_read_and_none_is_a_word() -> None:
    env = {
        "RUNTIME_AGENT_TOKEN": "t-o-k",
        "RUNTIME_APP_CPUS": "none",
        "RUNTIME_APP_MEMORY": "unlimited",
        "RUNTIME_APP_PIDS_LIMIT": "none",
        "RUNTIME_APP_MEMORY_SWAP": "1g",
        "RUNTIME_APP_CPU_SHARES": "512",
        "RUNTIME_APP_CPUSET_CPUS": "0-1",
        "RUNTIME_CONTAINER_PORT": "8080",
    }
    s = RuntimeSettings.load(environ=env)
    limits = s.limits
    assert (limits.cpus, limits.memory, limits.pids) == (0, 0, 0)
    assert (limits.memory_swap, limits.cpu_shares, limits.cpuset, s.container_port) == (1 << 30, 512, "0-1", 8080)


def test_login_that_podman_or_docker_left_is_found(tmp_path: Path) -> None:
    auth = base64.b64encode(b"robot$pull:pa:ss").decode()
    docker = tmp_path / ".docker/config.json"
    docker.parent.mkdir()
    docker.write_text(json.dumps({"auths": {"https://172.21.138.103": {"auth": auth}, "helper.test": {}}}))
    environ = {"HOME": str(tmp_path)}
    assert logins.find("172.21.138.103", environ) == ("robot$pull", "pa:ss")
    assert logins.find("helper.test", environ) is None
    assert logins.find("other.test", environ) is None
    docker.write_text("not json")
    assert logins.find("172.21.138.103", environ) is None


def test_login_of_a_service_without_home_is_looked_for_in_the_accounts_folder() -> None:
    account = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert account / ".docker/config.json" in logins.files({})


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("RUNNER_SLOT", True),
        ("RUNTIME_APP_MEMORYS", True),
        ("GIT_SSH_KEY_PATHS", True),
        ("GIT_AUTHOR_NAME", False),
        ("REGISTRY_AUTH_FILE", False),
        ("JOB_NAME", False),
        ("PATH", False),
    ],
)
def test_variables_that_are_judged_are_those_meant_for_the_services(name: str, ours: bool) -> None:
    assert bool(compat.OURS.fullmatch(name)) is ours
