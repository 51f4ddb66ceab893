"""Addresses that are derived from a node's settings."""

from __future__ import annotations

import pytest

from funai.contracts.naming import access_url, apps_url


@pytest.mark.parametrize(
    ("gateway", "domain", "template"),
    [
        ("http://127.0.0.1:8000", "apps.localhost", "http://{app}.apps.localhost:8000/"),
        ("http://localhost:8000/", "apps.localhost", "http://{app}.apps.localhost:8000/"),
        ("http://[::1]:8000", "apps.localhost", "http://{app}.apps.localhost:8000/"),
        ("http://192.0.2.1:8000", "apps.localhost", ""),
        ("http://apps.example.com", "apps.localhost", ""),
        ("https://gw.example.com", "apps.example.com", "https://{app}.apps.example.com/"),
        ("https://gw.example.com:8443/x", "apps.example.com", "https://{app}.apps.example.com:8443/"),
        ("http://127.0.0.1:8000", "", ""),
        ("", "apps.example.com", ""),
    ],
)
def test_apps_url_has_the_gateways_scheme_and_port(gateway: str, domain: str, template: str) -> None:
    assert apps_url(gateway, domain) == template


def test_access_url_without_a_template_is_none() -> None:
    assert access_url(None, 7) is access_url("", 7) is None
    assert access_url("http://{app}.a.b/", 7) == "http://7.a.b/"
