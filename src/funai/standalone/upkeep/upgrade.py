"""``funai upgrade``: a newer package in this program's own virtualenv, with the databases of before as the way back.

Databases are migrated forwards only, at the next start; so ``--back`` puts the old package *and* the old databases in place.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from funai.base.files import write_whole
from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout
from funai.standalone.phrases import phrase
from funai.standalone.upkeep import backup

PACKAGE = "funai-deploy"
Install = Callable[[str], None]


@dataclass(frozen=True)
class Change:
    """``kept`` is where what the new version had is, or the backup to go back to."""

    old: str
    new: str
    kept: Path


def record_of(layout: Layout) -> Path:
    return layout.root / "upgrade.json"


def backup_of(layout: Layout) -> Path:
    return layout.root / "before-upgrade.tar"


def wanted(what: str | None) -> str:
    """A version, a wheel's path or nothing (the newest) → what pip is asked for."""
    if what is None:
        return PACKAGE
    return what if what.endswith(".whl") else f"{PACKAGE}=={what}"


def forwards(layout: Layout, what: str | None, install: Install | None = None) -> Change:
    """Back the databases up, then install. Raises ConfigError; then the old version is still there."""
    old = installed()
    with DataDirLock(layout):
        backup_of(layout).unlink(missing_ok=True)
        backup.write(layout, backup_of(layout), registry=False)
        (install or pip)(wanted(what))
        write_whole(record_of(layout), json.dumps({"from": old, "to": installed()}) + "\n")
    return Change(old, installed(), backup_of(layout))


def backwards(layout: Layout, what: str | None, install: Install | None = None) -> Change:
    """Install the version of before and bring its databases back; those of the newer one are kept aside."""
    try:
        record = json.loads(record_of(layout).read_text())
        before = str(record["from"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError([phrase("upgrade_no_way_back", folder=layout.root)]) from e
    new = installed()
    with DataDirLock(layout):
        (install or pip)(wanted(what or before))
        aside = layout.root / f"databases-{new}"
        aside.mkdir(mode=0o700, exist_ok=True)
        databases = (layout.api_db, layout.deploy_db)
        for file in [f for database in databases for f in layout.root.glob(f"{database.name}*")]:
            file.replace(aside / file.name)
        with tarfile.open(backup_of(layout)) as tar:
            for database in databases:
                backup.unpack(tar, tar.getmember(database.name), layout.root)
        record_of(layout).unlink()
    return Change(new, installed(), aside)


def installed() -> str:
    """The version in this virtualenv. Raises ConfigError for a working tree, which git upgrades."""
    importlib.invalidate_caches()
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as e:
        raise ConfigError([phrase("upgrade_checkout")]) from e


def pip(requirement: str) -> None:
    """Raises ConfigError with pip's last words."""
    if importlib.util.find_spec("pip") is None:
        raise ConfigError([phrase("upgrade_no_pip")])
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--upgrade",
        requirement,
    ]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ConfigError([f"pip: {line}" for line in done.stderr.strip().splitlines()[-3:]] or [f"pip: {done.returncode}"])
