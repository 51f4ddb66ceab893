"""Names that people type: one spelling, and none that is no name or is ours."""

from __future__ import annotations

import pytest

from funai.contracts.apps.domains import check_not_ours, clean_domain, readable_label
from funai.contracts.errors import BadInput, Conflict


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("shop.example.com", "shop.example.com"),
        (" Shop.Example.COM. ", "shop.example.com"),
        ("商店.example.com", "xn--czrs0t.example.com"),
        ("XN--CZRS0T.example.com", "xn--czrs0t.example.com"),
        ("a。example。com", "a.example.com"),
        ("x-1.example.co.uk", "x-1.example.co.uk"),
    ],
)
def test_clean_domain_gives_one_spelling(typed: str, name: str) -> None:
    assert clean_domain(typed) == name
    assert clean_domain(name) == name


@pytest.mark.parametrize(
    "typed",
    [
        "",
        ".",
        "com",
        "*.example.com",
        "a.*.com",
        "http://shop.example.com",
        "shop.example.com/x",
        "shop.example.com:8443",
        "192.0.2.7",
        "2001:db8::1",
        "[2001:db8::1]",
        "127.1",
        "0x7f.0.0.1",
        "shop..example.com",
        ".shop.example.com",
        "shop.example.com..",
        "-a.example.com",
        "a-.example.com",
        "a_b.example.com",
        "a b.example.com",
        "a\n.example.com",
        "a;b.example.com",
        "%[path].example.com",
        f"{'a' * 64}.example.com",
        f"{'a.' * 100}com",
        "x" * 2_000,
        "localhost",
        "shop.localhost",
        "db.internal",
        "nas.local",
        "xn--a.example.com",
        "\u200b.example.com",
        "１２７.０.０.１",
    ],
)
def test_clean_domain_refuses_what_is_no_name_of_the_public(typed: str) -> None:
    with pytest.raises(BadInput) as refused:
        clean_domain(typed)
    assert refused.value.reason == "DOMAIN_INVALID"
    assert refused.value.message("zh") != refused.value.message("en")


def test_the_platform_s_own_hosts_and_apps_domains_are_nobody_s() -> None:
    hosts, domains = ["deploy.example.com", "[::1]", ""], ["apps.example.com", ""]
    for name in ("deploy.example.com", "apps.example.com", "7.apps.example.com", "a.b.apps.example.com"):
        with pytest.raises(Conflict):
            check_not_ours(name, hosts, domains)
    for name in ("example.com", "shop.example.com", "x.deploy.example.com", "myapps.example.com", "apps.example.com.cn"):
        check_not_ours(name, hosts, domains)


@pytest.mark.parametrize(
    ("app", "user", "label"),
    [
        ("Shop", "ada", "shop-ada"),
        ("My shop — v2!", "Ada_L", "my-shop-v2-ada-l"),
        ("xn--", "--a", "xn-a"),
        ("7", "8", "7-8"),
        ("商店", "ada", None),
        ("shop", "___", None),
        ("a" * 60, "ada", None),
    ],
)
def test_readable_label_is_safe_and_no_id(app: str, user: str, label: str | None) -> None:
    assert readable_label(app, user) == label
