"""The configuration as text. What it does is tested on a real HAProxy; here, what it must and must not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from funai.gateway.haproxy import config
from funai.gateway.haproxy.rules.sections import Facts
from funai.gateway.settings import GatewaySettings

FACTS = Facts(
    root=Path("/var/lib/gw"),
    sockets=Path("/run/gw"),
    max_connections=1000,
    user="haproxy",
    probe_sha256=config.probe_digest("the-secret"),
    version="HAProxy 2.6",
)


def rendered(**fields: Any) -> str:
    return config.render(GatewaySettings(**fields), FACTS)


def test_it_is_static() -> None:
    """No app has a line in it: ten thousand more apps are the same text."""
    assert rendered() == rendered()
    assert "map_str(/var/lib/gw/routes.map)" in rendered()
    assert "server app 0.0.0.0:0" in rendered()


def test_the_secret_is_not_in_it() -> None:
    text = rendered(probe_secret="the-secret")
    assert "the-secret" not in text
    assert FACTS.probe_sha256 in text


def test_its_identity_follows_all_that_matters() -> None:
    settings = GatewaySettings()
    pages = config.page_files(settings)
    text = config.render(settings, FACTS)
    mine = config.identity(text, pages)
    assert mine == config.identity(text, dict(pages))
    others = [
        config.identity(rendered(port=8001), pages),
        config.identity(config.render(settings, replace(FACTS, version="HAProxy 3.0")), pages),
        config.identity(config.render(settings, replace(FACTS, certificates=("a",))), pages),
        config.identity(text, {**pages, "unknown.html": "other"}),
    ]
    assert len({mine, *others}) == 5
    assert f"description {mine}" in config.with_identity(text, mine)


def test_pages_are_log_formats_that_only_name_the_trace() -> None:
    for name, text in config.page_files(GatewaySettings()).items():
        bare = text.replace("%%", "").replace("%[unique-id]", "")
        assert "%" not in bare, name
        assert text.count("%[unique-id]") == 1


@pytest.mark.parametrize(
    ("fields", "present", "absent"),
    [
        ({}, "bind 0.0.0.0:8000\n", "ssl crt-list"),
        ({"host": "::"}, "bind [::]:8000 v4v6\n", "0.0.0.0:8000"),
        ({"host": "[::1]"}, "bind [::1]:8000\n", "v4v6"),
        (
            {"https_port": 8443},
            "bind 0.0.0.0:8443 ssl crt-list /var/lib/gw/tls/crt-list.txt alpn h2,http/1.1",
            "location https://%[var(txn.host)]%[",
        ),
        ({"https_port": 8443}, "location https://%[var(txn.host)]:8443%[pathq]", "acme"),
        ({"https_port": 8443, "public_https_port": 443}, "location https://%[var(txn.host)]%[pathq]", ":8443%["),
        ({"https_port": 8443, "https_redirect": False}, "ssl crt-list", "location https://"),
        ({"acme_upstream": "127.0.0.1:8402"}, "server acme 127.0.0.1:8402", "trusted"),
        ({"wildcard_domain": "*.Apps.example.com"}, r"^[1-9][0-9]{0,18}\.apps\.example\.com$", "acme"),
        ({"trusted_proxies": ["10.0.0.1", "fd00::/8"]}, "acl trusted src 10.0.0.1/32 fd00::/8", "acme"),
        ({"app_max_inflight": 7}, "sc0_conn_cur gt 7\n", "sc0_conn_cur gt 250\n"),
        ({"hidden_cookies": []}, "sc0_conn_cur gt 250\n", "funai_session"),
        ({"connect_timeout": 0.25}, "timeout connect 250ms", "timeout connect 1000ms"),
    ],
)
def test_settings_reach_the_text(fields: dict[str, Any], present: str, absent: str) -> None:
    text = rendered(**fields)
    assert present in text
    assert absent not in text


def test_the_user_line_needs_a_user() -> None:
    assert "    user haproxy\n" in rendered()
    assert "user" not in config.render(GatewaySettings(), replace(FACTS, user="")).split("defaults")[0]


def test_listeners() -> None:
    assert config.listeners(GatewaySettings()) == [("0.0.0.0", 8000)]
    assert config.listeners(GatewaySettings(https_port=443)) == [("0.0.0.0", 8000), ("0.0.0.0", 443)]
