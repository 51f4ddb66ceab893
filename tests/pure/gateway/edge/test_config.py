"""The edge's configuration as text. What it does is tested on a real HAProxy; here, what it must and must not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from funai.contracts.errors import ConfigError
from funai.gateway.edge.config import design
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.haproxy.rules.sections import Facts
from funai.gateway.settings import GatewaySettings

FACTS = Facts(root=Path("/var/lib/edge"), sockets=Path("/run/edge"), max_connections=1000, user="", probe_sha256="AA")
GIVEN = {"edge.deploy-base-urls": "http://d:7002/", "edge.token": "t0ken"}


def edge(**more: Any) -> EdgeSettings:
    given: dict[str, Any] = {"deploy_base_urls": ["http://d:7002"], "token": "t0ken"}
    return EdgeSettings(**(given | more))


def rendered(settings: EdgeSettings | None = None, **fields: Any) -> str:
    return design(settings or edge()).render(GatewaySettings(**fields), FACTS)


def test_edge_leaves_rewriting_to_the_node() -> None:
    text = rendered()
    for rule in ("set-path", "replace-header", "set-header X-Forwarded-Prefix", "Set-Cookie", "Referrer-Policy"):
        assert rule not in text, rule
    assert "http-request set-header X-Forwarded-For %[src]" in text
    assert "track-sc0 var(txn.app)" in text, "a node's address is that of many apps"


def test_edge_without_a_platform_has_a_page_for_all_that_is_no_apps() -> None:
    assert "backend platform" not in rendered() and "/unknown.html" in rendered()


def test_platform_gets_its_paths_and_never_the_internal_ones() -> None:
    hosts = ["Studio.example.com"]
    settings = edge(platform_upstream="10.0.0.2:8080", platform_paths=["/api/", "/console"], platform_hosts=hosts)
    text = rendered(settings, wildcard_domain="apps.example.com")
    (line,) = [ln for ln in text.splitlines() if "set-var(txn.platform)" in ln]
    assert "!app_host" in line and "path -m beg /api/ /console" in line and "-i studio.example.com" in line
    assert "url_dec -m reg ^/+(runtime|internal)(/|$)" in line
    assert text.count("server platform 10.0.0.2:8080") == 3
    assert "acl platform_path path -m beg /api/ /console" in text


def test_every_page_that_is_named_is_made() -> None:
    made = design(edge()).files(GatewaySettings())
    text = rendered(edge(platform_upstream="10.0.0.2:8080"))
    named = {word.rsplit("/", 1)[1] for word in text.split() if word.startswith("/var/lib/edge/pages/")}
    assert named and named <= made.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        {"edge.deploy-base-urls": ""},
        {"edge.deploy-base-urls": "d:7002"},
        {"edge.token": "CHANGE_ME"},
        {"edge.platform-upstream": "api.example.com"},
        {"edge.platform-paths": "/a b"},
        {"edge.platform-hosts": "a;b"},
    ],
)
def test_settings_that_no_proxy_could_follow_are_refused_by_name(wrong: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "edge.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in (GIVEN | wrong).items()))
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        EdgeSettings.load(file)
