"""Where apps of a `funai up` get their databases."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from funai.contracts.errors import ConfigError
from funai.standalone.options import CONTAINER, NONE, UpOptions, check_options
from funai.standalone.parts import loaddress
from funai.standalone.parts.mongo import cpu_hint
from funai.standalone.parts.postgres import host_rules
from funai.standalone.services import AppServers, database_defaults, instance, named_servers

FOLDER = Path("/srv/funai")


def test_databases_of_a_mongo_url_are_the_agents_settings_with_accounts_of_their_own() -> None:
    options = UpOptions(
        data_dir=FOLDER, postgres=NONE, mongo="mongodb://ad%40min:p%2Fw@db.example.com:27018/?authSource=admin2"
    )
    found = database_defaults(options, named_servers(options))
    assert found["mongo_host"] == "db.example.com"
    assert found["mongo_port"] == 27018
    assert (found["mongo_username"], found["mongo_password"], found["mongo_auth_source"]) == ("ad@min", "p/w", "admin2")
    assert found["mongo_per_app_users"] is True


def test_databases_of_two_platforms_on_one_server_have_names_of_their_own() -> None:
    url = "postgresql://a:b@db.example.com/postgres"
    one, two = (UpOptions(data_dir=Path(f"/srv/{name}"), postgres=url) for name in ("one", "two"))
    templates = {database_defaults(o, named_servers(o))["postgres_db_template"] for o in (one, two)}
    assert len(templates) == 2
    assert f"db_{instance(one)}_u{{userId}}_a{{appId}}" in templates


def test_embedded_server_is_the_platforms_own_so_its_names_are_the_plain_ones() -> None:
    own = AppServers("postgresql://funai:x@198.18.0.1/postgres", "mongodb://funai:x@198.19.0.1:40000/?authSource=admin")
    found = database_defaults(UpOptions(data_dir=FOLDER, mongo=CONTAINER), own)
    assert not {"postgres_db_template", "mongo_db_template"} & set(found)
    assert (found["mongo_host"], found["mongo_port"], found["mongo_per_app_users"]) == ("198.19.0.1", 40000, True)


@pytest.mark.parametrize(
    "url",
    [
        "http://x/",
        "mongodb://",
        "mongodb+srv://a:secret-word@a.example.com/",
        "mongodb://a:1,b:2/",
        "mongodb://u:secret-word@h:x/",
    ],
)
def test_mongo_url_that_is_not_one_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_options(UpOptions(data_dir=FOLDER, mongo=url))
    assert "secret-word" not in str(refused.value)


def test_address_is_in_the_benchmarking_network_and_differs_by_data_dir() -> None:
    blocks = (loaddress.POSTGRES, loaddress.MONGO)
    found = [loaddress.of(name, block) for name in ("", "a1b2c3d4", "ffffffff", "00000000") for block in blocks]
    assert len(set(found)) == 8
    assert all(ip_address(a) in ip_network("198.18.0.0/15") for a in found)


def test_host_rules_let_the_platforms_account_in_from_this_machine_alone() -> None:
    rules = host_rules("198.18.0.1", "10.208.0.0/13").splitlines()
    assert rules == [
        "host all funai 198.18.0.1/32 scram-sha-256",
        "host all funai all reject",
        "host all all 10.208.0.0/13 scram-sha-256",
    ]


@pytest.mark.parametrize(
    ("machine", "flags", "told"),
    [("x86_64", "fpu sse avx avx2", False), ("x86_64", "fpu sse", True), ("aarch64", "fp asimd", False)],
)
def test_mongo_hint_of_a_missing_avx_is_for_a_cpu_that_lacks_it(machine: str, flags: str, told: bool) -> None:
    assert bool(cpu_hint(machine, f"processor : 0\nflags\t\t: {flags}\n")) is told
