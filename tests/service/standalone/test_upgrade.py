"""Another version and back: what is kept, what comes back, and what is refused before anything changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout, load_secrets
from funai.standalone.upkeep import upgrade


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "data")
    found.make()
    load_secrets(found.secrets_file)
    write(found, 1)
    return found


def write(layout: Layout, version: int) -> None:
    for database in (layout.api_db, layout.deploy_db):
        with closing(sqlite3.connect(database)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA user_version={version}")


def version_of(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for pip: what it was asked for; the last one is installed."""
    asked = ["funai-deploy==1.0"]
    monkeypatch.setattr(upgrade, "installed", lambda: asked[-1].rpartition("==")[2])
    return asked


def test_the_way_back_has_the_version_and_the_databases_of_before(layout: Layout, packages: list[str]) -> None:
    change = upgrade.forwards(layout, "2.0", packages.append)
    assert (change.old, change.new) == ("1.0", "2.0")
    write(layout, 2)
    back = upgrade.backwards(layout, None, packages.append)
    assert packages == ["funai-deploy==1.0", "funai-deploy==2.0", "funai-deploy==1.0"]
    assert (version_of(layout.api_db), version_of(layout.deploy_db)) == (1, 1)
    assert version_of(back.kept / "api.db") == 2
    with pytest.raises(ConfigError, match="no way back"):
        upgrade.backwards(layout, None, packages.append)


def test_a_failed_install_and_a_running_platform_change_nothing(layout: Layout, packages: list[str]) -> None:
    def fails(_: str) -> None:
        raise ConfigError(["pip: no"])

    with pytest.raises(ConfigError, match="pip: no"):
        upgrade.forwards(layout, None, fails)
    assert not upgrade.record_of(layout).exists()
    with DataDirLock(layout), pytest.raises(ConfigError, match="already in use"):
        upgrade.forwards(layout, None, packages.append)
    assert packages == ["funai-deploy==1.0"]


def test_a_working_tree_is_told_to_use_git(layout: Layout) -> None:
    with pytest.raises(ConfigError, match=r"git pull|代码仓库"):
        upgrade.forwards(layout, None)
