"""Settings that end up in another program's configuration are checked first."""

from __future__ import annotations

from typing import Any

import pytest

from funai.contracts.errors import ConfigError
from funai.gateway.settings import Driver, GatewaySettings


def load(**environ: str) -> GatewaySettings:
    return GatewaySettings.load(environ=environ)


def test_defaults_and_environment() -> None:
    settings = load()
    assert (settings.driver, settings.port, settings.https_port) == (Driver.HAPROXY, 8000, 0)
    settings = load(
        GATEWAY_PORT="80",
        GATEWAY_HTTPS_PORT="443",
        GATEWAY_TRUSTED_PROXIES="10.0.0.1, 192.168.0.0/16",
        GATEWAY_WILDCARD_DOMAIN="*.apps.Example.com",
        GATEWAY_TRAEFIK_VERSION="2",
        GATEWAY_DATA_DIR="/srv/gw",
    )
    assert (settings.port, settings.https_port, settings.traefik_version) == (80, 443, 2)
    assert settings.trusted_proxies == ["10.0.0.1/32", "192.168.0.0/16"]
    assert settings.wildcard_domain == "apps.example.com"
    assert str(settings.sockets) == "/srv/gw/run"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_DRIVER", "nginx"),
        ("GATEWAY_HOST", "localhost"),
        ("GATEWAY_HOST", "0.0.0.0\n bind *:1"),
        ("GATEWAY_PORT", "0"),
        ("GATEWAY_PORT", "70000"),
        ("GATEWAY_DATA_DIR", "/srv/with space"),
        ("GATEWAY_DATA_DIR", "/srv/a'b"),
        ("GATEWAY_DATA_DIR", "/srv/a\nb"),
        ("GATEWAY_TLS_DIR", "/x;y"),
        ("GATEWAY_WILDCARD_DOMAIN", "a b.com"),
        ("GATEWAY_WILDCARD_DOMAIN", "com"),
        ("GATEWAY_WILDCARD_DOMAIN", "a.com$"),
        ("GATEWAY_TRUSTED_PROXIES", "proxy.example"),
        ("GATEWAY_HIDDEN_COOKIES", "a=b"),
        ("GATEWAY_HIDDEN_COOKIES", "(x"),
        ("GATEWAY_ACME_UPSTREAM", "localhost:80"),
        ("GATEWAY_ACME_UPSTREAM", "127.0.0.1:0"),
        ("GATEWAY_ACME_UPSTREAM", "127.0.0.1:80 check"),
        ("GATEWAY_PROBE_SECRET", ""),
        ("GATEWAY_PROBE_SECRET", "CHANGE_ME"),
        ("GATEWAY_CONNECT_TIMEOUT", "0"),
        ("GATEWAY_TRAEFIK_VERSION", "1"),
        ("GATEWAY_PUBLIC_URL", "ftp://x"),
        ("GATEWAY_TRAEFIK_ENTRYPOINTS", "web`)"),
    ],
)
def test_an_unusable_value_names_its_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as e:
        load(**{name: value})
    assert name.lower().replace("gateway_", "gateway.").replace("_", "-") in e.value.problems[0]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"GATEWAY_HTTPS_PORT": "8000"}, "gateway.https-port"),
        ({"GATEWAY_DRIVER": "traefik-file", "GATEWAY_PUBLIC_URL": "http://127.0.0.1"}, "gateway.traefik-dir"),
        ({"GATEWAY_DRIVER": "traefik-labels"}, "gateway.public-url"),
        ({"GATEWAY_DATA_DIR": "/" + "long" * 30}, "gateway.run-dir"),
    ],
)
def test_settings_that_do_not_go_together(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(**fields)


def test_a_long_data_dir_works_with_a_short_run_dir() -> None:
    assert str(load(GATEWAY_DATA_DIR="/" + "long" * 30, GATEWAY_RUN_DIR="/run/gw").sockets) == "/run/gw"
