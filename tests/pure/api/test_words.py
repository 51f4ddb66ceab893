"""Names, repositories, settings, events: rules without I/O."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from funai.api.apps.service import clean_name, clean_text, default_name
from funai.api.compat.deploy import steps_of
from funai.api.deploys.idempotency import remember
from funai.api.deploys.presenters import shown
from funai.api.logs.streams import event
from funai.api.repos.access import parse_repo
from funai.api.services import defaults_of
from funai.api.settings import ApiSettings
from funai.contracts.errors import BadInput, ConfigError
from funai.contracts.jobs import Job
from funai.contracts.states import JobStatus

GOOD = {"JWT_SECRET": "j" * 32, "DEPLOY_PROXY_SHARED_SECRET": "s"}


def test_names_are_trimmed_and_composed() -> None:
    assert clean_name("  cafe\u0301 ") == "caf\u00e9"
    assert clean_name("商店🛒") == "商店🛒"
    for name in ("", " ", "x" * 65, "a\nb", "a\u0000", "\ud800", "\u2028", "a\x7fb"):
        with pytest.raises(BadInput):
            clean_name(name)


def test_descriptions_may_have_lines_but_no_half_characters() -> None:
    assert clean_text("a\nb\t ", 5) == "a\nb"
    assert clean_text(None, 5) is None
    for text in ("\u0000", "\ud800", "\u001b[0m", "sixsix"):
        with pytest.raises(BadInput):
            clean_text(text, 5)


def test_default_names_take_the_first_free_number() -> None:
    assert default_name(set()) == "未命名应用1"
    assert default_name({"未命名应用1", "未命名应用3", "x"}) == "未命名应用2"


def _settings(**environ: str) -> ApiSettings:
    return ApiSettings.load(environ={**GOOD, **environ})


def test_repositories_are_found_by_the_operators_template() -> None:
    usual = defaults_of(_settings())
    assert parse_repo("funai/u12-app345", usual) == (12, 345)
    for name in (
        "funai/u0-app1",
        "funai/u1-app01",
        "funai/u1-app1x",
        "x/u1-app1",
        "funai/u1-app1/y",
        "u1-app1",
        "funai/u1-app-1",
        "funai/u1-app" + "9" * 30,
        "funai/u\u0661-app1",
    ):
        assert parse_repo(name, usual) is None, name
    other = defaults_of(_settings(DEPLOY_GIT_REPO_NAME_TEMPLATE="app.{appId}.of.{userId}", DEPLOY_GIT_REPO_OWNER="org"))
    assert parse_repo("org/app.3.of.4", other) == (4, 3)
    assert parse_repo("org/appx3xofx4", other) is None
    assert other.repo(4, 3) == "org/app.3.of.4"


def test_settings_have_the_contracts_defaults() -> None:
    settings = _settings()
    assert (settings.port, settings.jwt_expiration, settings.max_apps, settings.max_running) == (8080, 604_800, 20, 3)
    assert (settings.deploy_read_timeout_ms, settings.deploy_list_timeout_ms) == (8_000, 1_500)
    assert (settings.git_ssh_port, settings.git_repo_owner, settings.git_default_ref) == (2222, "funai", "main")
    assert settings.acr_namespace == "funaistudio"
    assert "jjjj" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, "jwt.secret"),
        ({"JWT_SECRET": "short", "DEPLOY_PROXY_SHARED_SECRET": "s"}, "jwt.secret"),
        ({"JWT_SECRET": "CHANGE_ME" * 5, "DEPLOY_PROXY_SHARED_SECRET": "s"}, "jwt.secret"),
        ({"JWT_SECRET": "j" * 32}, "deploy-proxy.shared-secret"),
        ({"JWT_SECRET": "j" * 32, "DEPLOY_PROXY_SHARED_SECRET": ""}, "deploy-proxy.shared-secret"),
        ({"JWT_SECRET": "j" * 32, "DEPLOY_PROXY_SHARED_SECRET": "CHANGE_ME_NOW"}, "deploy-proxy.shared-secret"),
        ({**GOOD, "DEPLOY_ACR_REGISTRY": "not a host"}, "deploy-acr.registry"),
        ({**GOOD, "FUNAI_API_TRUSTED_PROXIES": "10.0.0.0/99"}, "funai.api.trusted-proxies"),
        ({**GOOD, "DEPLOY_GIT_REPO_NAME_TEMPLATE": "app"}, "deploy-git.repo-name-template"),
        ({**GOOD, "FUNAI_APP_LIMITS_MAX_RUNNING_PER_USER": "0"}, "funai.app.limits.max-running-per-user"),
    ],
)
def test_settings_that_cannot_work_are_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ApiSettings.load(environ=environ)
    assert named in str(refused.value)


def test_settings_come_from_dotted_names_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "api.properties"
    file.write_text(
        "jwt.secret=" + "j" * 32 + "\ndeploy-proxy.enabled=false\nfunai.image.allowed-namespaces=docker.io/library, h:5000/ns\n"
    )
    settings = ApiSettings.load(file, environ={"JWT_EXPIRATION": "600"})
    assert settings.deploy_enabled is False
    assert settings.image_namespaces == ["docker.io/library", "h:5000/ns"]
    assert settings.jwt_expiration == 600


def test_an_idempotency_key_is_visible_ascii_and_bound_to_its_request() -> None:
    one, same, other = remember("k", {"a": 1, "b": 2}), remember("k", {"b": 2, "a": 1}), remember("k", {"a": 2})
    assert one == same != other
    assert one.key_hash == other.key_hash
    for key in ("", "x" * 201, "a\nb", "é"):
        with pytest.raises(BadInput):
            remember(key, {})


def test_an_event_is_one_line_of_data() -> None:
    assert (
        event("log", {"chunk": "a\nb\r\n中"}, event_id=7) == 'id: 7\nevent: log\ndata: {"chunk":"a\\nb\\r\\n中"}\n\n'.encode()
    )


def test_what_is_nobodys_business_is_not_shown() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    payload: dict[str, Any] = {"appId": 1, "env": {"A": "1"}, "envSealed": "x", "requestId": "y"}
    job = Job(
        id=1,
        type="BUILD_AND_DEPLOY",
        status=JobStatus.RUNNING,
        payload=payload,
        created_at=now,
        updated_at=now,
        lease_token="t",
    )
    seen = shown(job)
    assert seen.payload == {"appId": 1}
    assert seen.lease_token is None


def test_a_cleanup_report_is_read_leniently() -> None:
    report = {"appId": 1, "complete": False, "steps": [{"step": "container", "ok": False, "detail": "x"}]}
    assert [(s.step, s.ok) for s in steps_of(report)] == [("container", False)]
    assert [(s.step, s.ok) for s in steps_of({})] == [("runtime", True)]
    assert [(s.step, s.ok) for s in steps_of({"appId": 1, "complete": False})] == [("runtime", False)]
