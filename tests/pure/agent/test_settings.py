"""Settings: sizes, lists, and refusals that name the key."""

from __future__ import annotations

import pytest

from funai.agent.settings import RuntimeSettings
from funai.contracts.errors import ConfigError

TOKEN = {"RUNTIME_AGENT_TOKEN": "secret-enough"}


def load(**environ: str) -> RuntimeSettings:
    return RuntimeSettings.load(environ={**TOKEN, **environ})


@pytest.mark.parametrize(("text", "size"), [("512m", 512 << 20), ("1.5g", 3 << 29), ("64Mi", 64 << 20), ("1048576", 1 << 20)])
def test_sizes(text: str, size: int) -> None:
    assert load(RUNTIME_APP_MEMORY=text).app_memory == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNTIME_APP_MEMORY", "lots"),
        ("RUNTIME_AGENT_TOKEN", "CHANGE_ME"),
        ("RUNTIME_APP_ALLOW", "10.0.0.5:x"),
        ("RUNTIME_APP_ALLOW", "-j ACCEPT"),
        ("RUNTIME_APP_SUBNETS", "10.0.0.0/28"),
        ("RUNTIME_INSTANCE", "a-g5"),
        ("RUNTIME_NODE_NAME", "a b"),
        ("RUNTIME_HEALTH_TIMEOUT_SECONDS", "900"),
    ],
)
def test_what_can_not_be_used_names_its_key(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(**{name: value})
    assert refused.value.problems[0].startswith(f"{name}:")


def test_the_socket_follows_the_program() -> None:
    assert load().socket == "/var/run/docker.sock"
    assert load(RUNTIME_DOCKER_BIN="/usr/bin/podman").socket == "/run/podman/podman.sock"
    assert load(RUNTIME_ENGINE_SOCKET="unix:///x.sock").socket == "/x.sock"
