"""Settings of a Gitea: what can't be used is told by its key; template files are read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from funai.api.repos.templates import MAX_BYTES, MAX_FILES, OWN, template_files
from funai.api.settings import ApiSettings
from funai.contracts.errors import ConfigError

ENVIRON = {
    "JWT_SECRET": "j" * 40,
    "DEPLOY_PROXY_SHARED_SECRET": "s",
    "GITEA_ENABLED": "true",
    "GITEA_BASE_URL": "http://172.21.138.103:3000",
    "GITEA_ADMIN_TOKEN": "token",
}


def load(**changes: str | None) -> ApiSettings:
    return ApiSettings.load(environ={k: v for k, v in {**ENVIRON, **changes}.items() if v is not None})


def test_settings_of_the_field_are_read_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "api.properties"
    names = {
        "owner": "funai",
        "repo-name-template": "u{userId}-app{appId}",
        "auto-init": "false",
        "default-branch": "trunk",
        "runner-team": "r",
        "runner-bot": "rb",
        "workspace-team": "w",
        "workspace-bot": "wb",
    }
    file.write_text("".join(f"gitea.{name}={value}\n" for name, value in names.items()))
    read: Any = ApiSettings.load(file, environ=ENVIRON)
    assert (read.gitea_enabled, read.gitea_auto_init, read.gitea_default_branch) == (True, False, "trunk")
    shown = (read.gitea_runner_team, read.gitea_runner_bot, read.gitea_workspace_team, read.gitea_workspace_bot)
    assert shown == ("r", "rb", "w", "wb")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"GITEA_BASE_URL": None}, "gitea.base-url"),
        ({"GITEA_BASE_URL": "172.21.138.103:3000"}, "gitea.base-url"),
        ({"GITEA_ADMIN_TOKEN": None}, "gitea.admin-token"),
        ({"GITEA_ADMIN_TOKEN": "CHANGE_ME"}, "gitea.admin-token"),
        ({"GITEA_OWNER": "elsewhere"}, "gitea.owner"),
        ({"GITEA_REPO_NAME_TEMPLATE": "x{userId}-{appId}"}, "gitea.repo-name-template"),
        ({"GITEA_DEFAULT_BRANCH": "-x"}, "gitea.default-branch"),
        ({"DEPLOY_GIT_ENABLED": "false"}, "deploy-git.enabled"),
        ({"GITEA_WEBHOOK_URL": "http://api:8080"}, "gitea.webhook-secret"),
        ({"GITEA_WEBHOOK_URL": "http://api:8080", "GITEA_WEBHOOK_SECRET": "short"}, "gitea.webhook-secret"),
        ({"GITEA_WEBHOOK_URL": "api:8080", "GITEA_WEBHOOK_SECRET": "s" * 16}, "gitea.webhook-url"),
    ],
)
def test_settings_that_can_not_be_used_are_named(changes: dict[str, str | None], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(**changes)
    assert any(problem.startswith(f"{key}: ") for problem in refused.value.problems)


def test_incomplete_settings_do_no_harm_while_gitea_is_off() -> None:
    assert not load(GITEA_ENABLED="false", GITEA_BASE_URL=None, GITEA_ADMIN_TOKEN=None).gitea_enabled


def test_templates_are_the_platforms_where_an_operators_file_wins(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("no")
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "app.yaml").write_text("port: 3000\n")
    (tmp_path / ".gitignore").write_text("mine\n")
    assert template_files(None) == OWN
    assert template_files(tmp_path) == {**OWN, ".gitignore": b"mine\n", "deploy/app.yaml": b"port: 3000\n"}


def test_template_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        template_files(tmp_path / "none")
    (tmp_path / "large").write_bytes(b"x" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger"):
        template_files(tmp_path)
    (tmp_path / "large").unlink()
    for number in range(MAX_FILES + 1):
        (tmp_path / f"f{number}").touch()
    with pytest.raises(ConfigError, match="more than"):
        template_files(tmp_path)
