"""Which addresses apps must not reach, from settings and nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from funai.contracts.errors import ConfigError
from funai.deploy.placement.policy import Node
from funai.deploy.placement.walls import Target, entries, facing, machines, of_settings, public_entries, walls
from funai.deploy.settings import DeploySettings
from tests.pure.deploy.placement.test_policy import node

SECRETS = {
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": "a" * 32,
    "DEPLOY_ADMIN_TOKEN": "b" * 32,
    "DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET": "c" * 32,
}


def settings(**given: str) -> DeploySettings:
    return DeploySettings.load(environ=SECRETS | {f"DEPLOY_{name.upper()}": value for name, value in given.items()})


def at(agent: str, gateway: str, upstream: str | None = None) -> Node:
    return replace(node(1), agent_base_url=agent, gateway_base_url=gateway, upstream_url=upstream)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.0.0.5", Target("10.0.0.5")),
        ("git.example.com:22", Target("git.example.com", 22)),
        ("10.0.0.0/24", Target("10.0.0.0/24")),
        ("https://api.example.com/x", Target("api.example.com")),
        ("http://10.0.0.5:8080", Target("10.0.0.5", 8080)),
    ],
)
def test_target_of_each_form_is_read(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize("text", ["", ":80", "host:", "host:x", "host:0", "10.0.0.0/33", "10.0.0.0/24:80", "http:///x"])
def test_target_of_no_form_is_refused_by_its_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"must look like|netmask"):
        Target.parse(text)


def test_settings_name_database_registry_listener_and_single_callers() -> None:
    given = settings(
        datasource_url="postgresql://u:p@db.internal:5433/deploy",
        server_host="10.0.0.2",
        walls_deny="http://10.0.0.3:3000",
        proxy_auth_allowed_ips="10.0.0.4,10.0.0.0/24",
        registry_cleanup_registry="registry.internal:5000",
    )
    assert set(of_settings(given)) == {
        Target("db.internal"),
        Target("registry.internal", 5000),
        Target("10.0.0.2"),
        Target("10.0.0.3", 3000),
        Target("10.0.0.4"),
    }


def test_settings_that_say_no_address_are_named() -> None:
    with pytest.raises(ConfigError, match=r"deploy\.walls\.deny"):
        of_settings(settings(walls_deny="10.0.0.0/99"))


def test_node_is_denied_by_its_inner_addresses_and_its_public_door_is_open() -> None:
    known = at("http://10.0.0.11:7005", "https://apps.example.com", "http://10.1.0.11:8000")
    assert machines(known) == [Target("10.0.0.11"), Target("10.1.0.11")]
    assert public_entries(known) == [Target("apps.example.com", 443)]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.0/16", "0.0.0.0", "0.0.0.0/0", "::1", "fe80::1", "name"])
def test_entries_of_loopback_any_ipv6_and_names_are_none(address: str) -> None:
    assert entries(address, 80) == []


def test_entries_are_an_address_a_port_or_a_network() -> None:
    assert entries("10.0.0.5", None) == ["10.0.0.5"]
    assert entries("10.0.0.5", 80) == ["10.0.0.5:80"]
    assert entries("10.0.0.7/24", None) == ["10.0.0.0/24"]


def test_revision_is_of_the_entries_alone() -> None:
    one, same = walls(["10.0.0.2", "10.0.0.1"], []), walls(["10.0.0.1", "10.0.0.2", "10.0.0.1"], [])
    assert one == same
    assert walls(["10.0.0.1"], ["10.0.0.2"]).revision != one.revision


def test_facing_a_machine_on_loopback_is_no_address() -> None:
    assert facing(["127.0.0.1", "not an address"]) == []
