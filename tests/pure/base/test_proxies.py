"""Which way a request goes, from the variables that people set for curl, git and Go programs."""

from __future__ import annotations

import pytest

from funai.base import proxies
from funai.contracts.errors import ConfigError

PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize(
    "no_proxy",
    [
        "localhost,127.0.0.1,::1,fd00::/8",
        "[::1]",
        "10.*,192.168.*",
        "*.corp,.intra,host.example:8443",
        "*",
        " a , b ",
        "10.0.0.0/8 172.16.0.0/12",
        "[fe80::1]:80",
        "fd00::1",
        "",
        "_internal.example",
    ],
)
def test_read_no_proxy_as_people_write_it_is_taken(no_proxy: str) -> None:
    proxies.read({"HTTP_PROXY": PROXY, "NO_PROXY": no_proxy})


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("fd00::/8", "http://[fd12::1]:8080/", True),
        ("fd00::/8", "http://[2001:db8::1]/", False),
        ("10.0.0.0/8", "http://10.200.3.4/", True),
        ("10.*", "http://10.200.3.4/", True),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("*", "http://anything.example/", True),
        ("example.com", "http://a.b.example.com/", True),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://a.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        ("EXAMPLE.com", "http://example.COM./", True),
        ("example.com:8443", "http://example.com:8443/", True),
        ("example.com:8443", "http://example.com/", False),
        ("example.com:80", "http://example.com/", True),
        ("[fd00::1]:81", "http://[fd00::1]:81/", True),
        ("", "http://localhost:8080/", True),
        ("", "http://app.localhost/", True),
        ("", "http://127.8.9.10/", True),
        ("", "http://[::1]:5000/", True),
        ("", "http://[::ffff:127.0.0.1]/", True),
        ("", "http://127.0.0.1.example.com/", False),
    ],
)
def test_chosen_for_an_address_follows_no_proxy_and_never_proxies_loopback(no_proxy: str, url: str, direct: bool) -> None:
    chosen = proxies.read({"http_proxy": PROXY, "no_proxy": no_proxy}).chosen(url)
    assert chosen == (None if direct else (PROXY, "http_proxy"))


def test_chosen_takes_the_schemes_own_variable_lower_case_first_then_all_proxy() -> None:
    both = proxies.read({"HTTP_PROXY": "http://upper:1", "http_proxy": "http://lower:1", "ALL_PROXY": "socks5://all:1080"})
    assert both.chosen("http://x.example/") == ("http://lower:1", "http_proxy")
    assert both.chosen("https://x.example/") == ("socks5://all:1080", "ALL_PROXY")
    assert proxies.read({"https_proxy": "", "all_proxy": "http://all:1"}).chosen("https://x.example/") is None
    assert proxies.read({"https_proxy": "proxy:3128"}).chosen("https://x.example/") == ("http://proxy:3128", "https_proxy")


def test_read_unusable_values_are_each_a_sentence_without_the_password() -> None:
    with pytest.raises(ConfigError) as refused:
        proxies.read(
            {
                "HTTP_PROXY": "ftp://u:sesame@p",
                "https_proxy": "http://u:sesame@p:99999",
                "NO_PROXY": "a/b,[::1,ok.example,10.0.0.0/99",
            }
        )
    assert len(refused.value.problems) == 5
    said = str(refused.value)
    assert all(word in said for word in ("HTTP_PROXY: ftp://", "https_proxy: ", "NO_PROXY: 'a/b'", "'[::1'", "'10.0.0.0/99'"))
    assert "sesame" not in said


def test_for_children_exempts_loopback_in_both_spellings() -> None:
    given = proxies.for_children({"HTTPS_PROXY": PROXY, "no_proxy": "corp.example,::1"}, own=["registry.example"])
    assert given["https_proxy"] == given["HTTPS_PROXY"] == PROXY
    assert given["NO_PROXY"] == given["no_proxy"]
    assert given["no_proxy"].split(",") == ["corp.example", "::1", "localhost", "127.0.0.1", "127.0.0.0/8", "registry.example"]
    assert proxies.for_children({"http_proxy": PROXY, "NO_PROXY": "*"})["NO_PROXY"] == "*"
    assert proxies.for_children({"NO_PROXY": "x"}) == {}


def test_shown_has_no_login() -> None:
    assert proxies.shown("http://u:sesame@p:1/") == "http://p:1/"
