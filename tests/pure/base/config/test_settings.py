"""Settings name their key, their source and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.base.config.settings import Secret, Settings, key, reference
from funai.contracts.errors import ConfigError


class Example(Settings):
    base_url: str = key("deploy-proxy.base-url", "http://127.0.0.1:7002", doc="where")
    secret: Secret = key("deploy-proxy.shared-secret", doc="secret")
    limit: int = key("deploy-proxy.read-timeout-ms", 8000, doc="ms", ge=1)
    allowed: list[str] = key("deploy-proxy.allowed-ips", [], doc="who")


GOOD = {"DEPLOY_PROXY_SHARED_SECRET": "s3cret-s3cret"}


def test_environment_beats_the_file_and_arguments_beat_both(tmp_path: Path) -> None:
    file = tmp_path / "a.properties"
    file.write_text("# c\ndeploy-proxy.base-url = http://file\ndeploy-proxy.read-timeout-ms: 5\n")
    assert Example.load(file, GOOD).base_url == "http://file"
    env = {**GOOD, "DEPLOY_PROXY_BASE_URL": "http://env"}
    assert Example.load(file, env).base_url == "http://env"
    assert Example.load(file, env, base_url="http://arg").base_url == "http://arg"
    assert Example.load(file, env).limit == 5


def test_lists_are_comma_separated() -> None:
    assert Example.load(None, {**GOOD, "DEPLOY_PROXY_ALLOWED_IPS": "10.0.0.1, 10.1.0.0/16,"}).allowed == [
        "10.0.0.1",
        "10.1.0.0/16",
    ]


@pytest.mark.parametrize("value", ["", "  ", "CHANGE_ME", "CHANGE_ME_please", "change_me"])
def test_a_placeholder_secret_refuses_with_its_source(value: str) -> None:
    with pytest.raises(ConfigError) as e:
        Example.load(None, {"DEPLOY_PROXY_SHARED_SECRET": value})
    (problem,) = e.value.problems
    assert problem.startswith("deploy-proxy.shared-secret:") and "environment variable DEPLOY_PROXY_SHARED_SECRET" in problem


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as e:
        Example.load(None, {"DEPLOY_PROXY_READ_TIMEOUT_MS": "soon"})
    assert [p.partition(":")[0] for p in e.value.problems] == ["deploy-proxy.shared-secret", "deploy-proxy.read-timeout-ms"]


def test_secrets_do_not_show() -> None:
    assert "s3cret-s3cret" not in repr(Example.load(None, GOOD))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.properties"
    file.write_text("just words\n")
    with pytest.raises(ConfigError, match=r"bad\.properties:1"):
        Example.load(file, GOOD)
    with pytest.raises(ConfigError, match="can't be read"):
        Example.load(tmp_path / "none", GOOD)


def test_the_reference_lists_both_names() -> None:
    assert reference(Example)[2] == ("deploy-proxy.read-timeout-ms", "DEPLOY_PROXY_READ_TIMEOUT_MS", "8000", "ms")
