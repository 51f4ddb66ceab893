"""Addresses that are derived from a node's settings."""

from __future__ import annotations

import pytest

from funai.contracts.naming import access_url, apps_url, neighbour_url


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


@pytest.mark.parametrize(
    ("agent", "listens", "url"),
    [
        ("http://10.0.0.5:7005", "0.0.0.0", "http://10.0.0.5:8000"),
        ("http://[fd00::5]:7005/", "::", "http://[fd00::5]:8000"),
        ("http://127.0.0.1:7005", "127.0.0.1", "http://127.0.0.1:8000"),
        ("http://10.0.0.5:7005", "127.0.0.1", ""),
        ("", "0.0.0.0", ""),
    ],
)
def test_neighbour_url_is_the_same_machine_unless_it_listens_on_loopback_alone(agent: str, listens: str, url: str) -> None:
    assert neighbour_url(agent, listens, 8000) == url
