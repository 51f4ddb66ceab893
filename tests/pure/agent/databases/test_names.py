"""Names and credentials of apps' databases, which every node must make alike."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from funai.agent.databases import names

TEMPLATE = "db_u{userId}_a{appId}"
MOST = 2**63 - 1


def test_database_name_of_the_contracts_template_is_the_fields() -> None:
    assert names.database_name(TEMPLATE, 3, 17) == "db_u3_a17"


def test_database_name_of_the_largest_ids_fits_63_bytes() -> None:
    assert len(names.database_name(TEMPLATE, MOST, MOST)) <= 63


def test_database_name_over_63_bytes_is_cut_and_stays_apart() -> None:
    long = "x" * 60 + "_{userId}_{appId}"
    made = {names.database_name(long, 1, app) for app in range(1, 200)}
    assert len(made) == 199
    assert all(len(name) <= 63 for name in made)


@pytest.mark.parametrize(
    ("name", "app"),
    [
        ("db_u3_a17", 17),
        ("db_u12_a9", 9),
        ("admin", None),
        ("db_u3_a17x", None),
        ("db_u3_a", None),
        ("db_u_a3", None),
        ("xdb_u3_a17", None),
    ],
)
def test_app_of_a_name_is_found_only_where_the_template_made_it(name: str, app: int | None) -> None:
    assert names.app_of(TEMPLATE, name) == app


def test_app_of_an_older_template_without_a_user_is_found() -> None:
    assert names.app_of("db_{appId}", "db_44") == 44


def test_derived_password_differs_by_secret_name_and_rotation() -> None:
    made = {
        names.derived_password(s, n, r) for s in ("a", "b") for n in ("mongo/db_u1_a1", "postgres/db_u1_a1") for r in (0, 1)
    }
    assert len(made) == 8
    assert all(len(p) == 32 and p.isalnum() for p in made)


def test_url_with_awkward_credentials_is_percent_encoded_and_reads_back() -> None:
    url = names.url("mongodb", "10.0.0.5", 27017, "db_u1_a1", user="us er@x", password="p@ss/w:rd?#%", query="authSource=admin")
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("10.0.0.5", 27017, "/db_u1_a1", "authSource=admin")
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == ("us er@x", "p@ss/w:rd?#%")


def test_url_without_an_account_is_plain() -> None:
    assert names.url("mongodb", "mongo", 27017, "db_u1_a1") == "mongodb://mongo:27017/db_u1_a1"
