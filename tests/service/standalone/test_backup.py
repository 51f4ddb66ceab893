"""All state of a data dir into one file and back, while it is written to; and files that are no backup."""

from __future__ import annotations

import gc
import io
import json
import sqlite3
import subprocess
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout, load_secrets
from funai.standalone.upkeep import backup


def git(*words: str) -> str:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    return subprocess.run(["git", *who, *words], env=env, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_LANG", "en")


@pytest.fixture
def platform(tmp_path: Path) -> Layout:
    """A data dir with something of everything."""
    layout = Layout(tmp_path / "data")
    layout.make()
    load_secrets(layout.secrets_file)
    layout.config_file.write_text("[builds]\nslots = 3\n")
    layout.seal_key.write_text("sealed")
    for database in (layout.api_db, layout.deploy_db):
        with closing(sqlite3.connect(database)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t (n INTEGER)")
            db.execute("INSERT INTO t VALUES (1)")
            db.commit()
    bare = layout.git / "funai" / "u1-app1.git"
    git("init", "-q", "--bare", "-b", "main", str(bare))
    work = tmp_path / "work"
    git("init", "-q", "-b", "main", str(work))
    git("-C", str(work), "commit", "-q", "--allow-empty", "-m", "one")
    git("-C", str(work), "push", "-q", str(bare), "HEAD:main")
    blobs = layout.registry / "data" / "docker" / "registry" / "v2" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "data").write_bytes(b"\x1f\x8b")
    (layout.log / "funai.log").write_text("a log")
    return layout


def rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_restored_backup_is_the_platform_it_was(platform: Layout, tmp_path: Path, name: str) -> None:
    report = backup.write(platform, tmp_path / name, registry=True)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    again = Layout(tmp_path / "again")
    restored = backup.restore(tmp_path / name, again)
    assert (restored.files, restored.bytes, restored.registry) == (report.files, report.bytes, True)
    for part in ("secrets.json", "funai.toml", "keys/env-seal.key", "registry/data/docker/registry/v2/blobs/data"):
        assert (again.root / part).read_bytes() == (platform.root / part).read_bytes()
    assert (rows(again.api_db), rows(again.deploy_db)) == (1, 1)
    assert git("--git-dir", str(again.git / "funai/u1-app1.git"), "log", "--format=%s", "main") == "one"
    assert not (again.log / "funai.log").exists()
    modes = {part: (again.root / part).stat().st_mode & 0o777 for part in (".", "secrets.json", "api.db", "keys/env-seal.key")}
    assert modes == {".": 0o700, "secrets.json": 0o600, "api.db": 0o600, "keys/env-seal.key": 0o600}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_backup_under_writes_is_whole_and_of_one_moment(platform: Layout, tmp_path: Path) -> None:
    stop = threading.Event()

    def write_pairs() -> None:
        with closing(sqlite3.connect(platform.api_db, timeout=30)) as db:
            while not stop.is_set():
                db.execute("INSERT INTO t VALUES (2), (3)")
                db.commit()

    writer = threading.Thread(target=write_pairs)
    writer.start()
    try:
        backup.write(platform, tmp_path / "b.tar", registry=False)
    finally:
        stop.set()
        writer.join()
    again = Layout(tmp_path / "again")
    assert backup.restore(tmp_path / "b.tar", again).registry is False
    assert rows(again.api_db) % 2 == 1, "a transaction was cut in two"
    assert not (again.registry / "data").exists()


def test_what_is_there_is_never_overwritten(platform: Layout, tmp_path: Path) -> None:
    backup.write(platform, tmp_path / "b.tar", registry=False)
    with pytest.raises(ConfigError, match="is there already"):
        backup.write(platform, tmp_path / "b.tar", registry=False)
    with pytest.raises(ConfigError, match="is not empty"):
        backup.restore(tmp_path / "b.tar", platform)
    with pytest.raises(ConfigError, match="there is no platform"):
        backup.write(Layout(tmp_path / "nothing"), tmp_path / "c.tar", registry=False)


@pytest.mark.parametrize("evil", ["../outside", "/etc/outside", "keys/../../outside"])
def test_a_file_that_was_changed_is_refused_and_leaves_nothing(platform: Layout, tmp_path: Path, evil: str) -> None:
    good, bad = tmp_path / "b.tar", tmp_path / "bad.tar"
    backup.write(platform, good, registry=False)
    with tarfile.open(good) as source, tarfile.open(bad, "w") as out:
        for member in source:
            out.addfile(member, source.extractfile(member) if member.isfile() else None)
        entry = tarfile.TarInfo(evil)
        out.addfile(entry, io.BytesIO(b""))
    with pytest.raises(ConfigError, match="the file was changed"):
        backup.restore(bad, Layout(tmp_path / "again"))
    assert not (tmp_path / "again").exists() and not (tmp_path / "outside").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_no_backup_half_a_backup_and_one_of_a_newer_version_are_told_apart(platform: Layout, tmp_path: Path) -> None:
    good, other = tmp_path / "b.tar", tmp_path / "other.tar"
    backup.write(platform, good, registry=False)
    other.write_bytes(good.read_bytes()[:20_000])
    with pytest.raises(ConfigError, match=r"can't be restored|not whole"):
        backup.restore(other, Layout(tmp_path / "again"))
    other.write_text("not a tar")
    with pytest.raises(ConfigError, match="is no backup"):
        backup.restore(other, Layout(tmp_path / "again"))
    with tarfile.open(other, "w") as out:
        text = json.dumps({"form": 99, "version": "9.0", "created": "", "registry": True}).encode()
        entry = tarfile.TarInfo(backup.MANIFEST)
        entry.size = len(text)
        out.addfile(entry, io.BytesIO(text))
    with pytest.raises(ConfigError, match=r"9\.0, which is newer"):
        backup.restore(other, Layout(tmp_path / "again"))
    with tarfile.open(other, "w") as out:
        out.addfile(tarfile.TarInfo("something"))
    with pytest.raises(ConfigError, match="is no backup"):
        backup.restore(other, Layout(tmp_path / "again"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_backup_has_a_stopped_mongodbs_files_and_refuses_while_a_running_one_is_silent(
    platform: Layout, tmp_path: Path
) -> None:
    (platform.mongo / "data").mkdir(parents=True)
    (platform.mongo / "data" / "WiredTiger").write_text("files")
    (platform.mongo / "address").write_text("127.0.0.1:1\n")
    backup.write(platform, tmp_path / "b.tar", registry=False)
    again = Layout(tmp_path / "again")
    backup.restore(tmp_path / "b.tar", again)
    assert (again.mongo / "data" / "WiredTiger").read_text() == "files"
    with DataDirLock(platform), pytest.raises(ConfigError, match="does not answer"):
        backup.write(platform, tmp_path / "c.tar", registry=False)
    assert not list(tmp_path.glob("*c.tar*"))
    gc.collect()  # pymongo drops sockets that were connecting, without closing them: here, and not in another test
