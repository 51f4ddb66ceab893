"""Where apps of a `funai up` get their databases."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from funai.contracts.errors import ConfigError
from funai.standalone.options import NONE, UpOptions, check_options
from funai.standalone.parts.postgres import address, host_rules
from funai.standalone.services import database_defaults, instance

FOLDER = Path("/srv/funai")


def test_databases_of_a_mongo_url_are_the_agents_settings_with_accounts_of_their_own() -> None:
    options = UpOptions(
        data_dir=FOLDER, postgres=NONE, mongo="mongodb://ad%40min:p%2Fw@db.example.com:27018/?authSource=admin2"
    )
    found = database_defaults(options, None)
    assert found["mongo_host"] == "db.example.com"
    assert found["mongo_port"] == 27018
    assert (found["mongo_username"], found["mongo_password"], found["mongo_auth_source"]) == ("ad@min", "p/w", "admin2")
    assert found["mongo_per_app_users"] is True


def test_databases_of_two_platforms_on_one_server_have_names_of_their_own() -> None:
    url = "postgresql://a:b@db.example.com/postgres"
    one, two = (UpOptions(data_dir=Path(f"/srv/{name}"), postgres=url) for name in ("one", "two"))
    templates = {database_defaults(o, url)["postgres_db_template"] for o in (one, two)}
    assert len(templates) == 2
    assert f"db_{instance(one)}_u{{userId}}_a{{appId}}" in templates


def test_embedded_server_is_the_platforms_own_so_its_names_are_the_plain_ones() -> None:
    assert "postgres_db_template" not in database_defaults(
        UpOptions(data_dir=FOLDER), "postgresql://funai:x@198.18.0.1/postgres"
    )


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
    found = [address(name) for name in ("", "a1b2c3d4", "ffffffff", "00000000")]
    assert len(set(found)) == 4
    assert all(ip_address(a) in ip_network("198.18.0.0/16") for a in found)


def test_host_rules_let_the_platforms_account_in_from_this_machine_alone() -> None:
    rules = host_rules("198.18.0.1", "10.208.0.0/13").splitlines()
    assert rules == [
        "host all funai 198.18.0.1/32 scram-sha-256",
        "host all funai all reject",
        "host all all 10.208.0.0/13 scram-sha-256",
    ]
