"""``funai backup`` and ``funai restore``: all state of one machine's platform in one tar file.

The databases come first, then repositories with references before objects, then the registry with links before blobs: what
something points to was there before it was copied. So a running platform can be backed up.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from funai import __version__
from funai.base.db.copying import copy_sqlite
from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout, load_secrets
from funai.standalone.phrases import phrase

MANIFEST = "funai-backup.json"
FORM = 1
"""Of the file's layout; a newer one is refused."""
PIECE = 1024 * 1024


@dataclass(frozen=True)
class Report:
    """What a backup holds: the version that wrote it, its files, their bytes, and whether images are among them."""

    version: str
    created: str
    files: int
    bytes: int
    registry: bool


def write(layout: Layout, target: Path, *, registry: bool) -> Report:
    """Write the backup beside ``target`` and rename it into place, mode 0600. Raises ConfigError."""
    if not layout.secrets_file.exists():
        raise ConfigError([phrase("backup_no_platform", folder=layout.root)])
    if target.exists():
        raise ConfigError([phrase("backup_there", file=target)])
    aside = target.with_name(f".{target.name}.new")
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w:gz" if target.suffix in (".gz", ".tgz") else "w") as tar:
                put_manifest(tar, created, registry=registry)
                count, size = _fill(tar, layout, registry=registry)
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, target)
    except OSError as e:
        raise ConfigError([phrase("backup_unwritten", file=target, why=e.strerror or e)]) from e
    finally:
        aside.unlink(missing_ok=True)
    return Report(__version__, created, count, size, registry)


def put_manifest(tar: tarfile.TarFile, created: str, **told: object) -> None:
    """Adds what :func:`about` reads."""
    text = json.dumps({"form": FORM, "version": __version__, "created": created, **told}).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size, entry.mode = len(text), 0o600
    tar.addfile(entry, io.BytesIO(text))


def _fill(tar: tarfile.TarFile, layout: Layout, *, registry: bool) -> tuple[int, int]:
    """Adds everything; answers (files, bytes)."""
    count = size = 0
    with tempfile.TemporaryDirectory(prefix="backup-", dir=layout.run) as folder:
        for database in (layout.api_db, layout.deploy_db):
            copy = Path(folder) / database.name
            copy_sqlite(database, copy)
            tar.add(copy, database.name)
            count, size = count + 1, size + copy.stat().st_size
        dumps = _mongo_dumps(layout, Path(folder))
        for dump in dumps or ():
            tar.add(dump, f"mongo/dumps/{dump.name}")
            count, size = count + 1, size + dump.stat().st_size
    for file in _files(layout, registry=registry, mongo=dumps is None):
        grown = added(tar, file, file.relative_to(layout.root).as_posix())
        count, size = count + (grown is not None), size + (grown or 0)
    return count, size


def added(tar: tarfile.TarFile, file: Path, name: str) -> int | None:
    """Adds a file or folder; its bytes, None for a folder and for what was deleted meanwhile: so is what pointed to it."""
    try:
        tar.add(file, name, recursive=False)
        return file.stat().st_size if file.is_file() else None
    except FileNotFoundError:
        return None


def _mongo_dumps(layout: Layout, folder: Path) -> list[Path] | None:
    """Dumps of this machine's own MongoDB in ``folder``; None: it doesn't run, or there is none."""
    if not layout.mongo.exists():
        return None
    from funai.standalone.upkeep import mongodumps  # noqa: PLC0415  # its driver, which few platforms need

    return asyncio.run(mongodumps.take(layout, load_secrets(layout.secrets_file)[0], folder))


def _files(layout: Layout, *, registry: bool, mongo: bool) -> Iterator[Path]:
    for file in (layout.config_file, layout.secrets_file):
        if file.exists():
            yield file
    yield from _walk(layout.keys)
    for repository in sorted(layout.git.glob("*/*.git")):
        yield from _walk(repository, last="objects")
    if mongo:
        yield from _walk(layout.mongo)
    if registry:
        yield from _walk(layout.registry / "data" / "docker" / "registry" / "v2", last="blobs")


def _walk(folder: Path, last: str = "") -> Iterator[Path]:
    """Folders and regular files below, those in the folder called ``last`` after all others."""
    if not folder.is_dir():
        return
    yield folder
    for entry in sorted(folder.iterdir(), key=lambda p: (p.name == last, p.name)):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.is_file():
            yield entry


def restore(source: Path, layout: Layout) -> Report:
    """Unpack a backup into a data dir that has no platform yet. Raises ConfigError; then nothing of it is left there."""
    if layout.root.exists() and any(layout.root.iterdir()):
        raise ConfigError([phrase("restore_not_empty", folder=layout.root)])
    layout.root.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{layout.root.name}-", dir=layout.root.parent))
    try:
        with opened(source) as tar:
            told, report = about(source, tar.next(), tar)
            if "services" in told:
                raise ConfigError([f"{source}: is a backup of services; name their folder with --settings"])
            count = size = 0
            for member in tar:
                if member.name == MANIFEST:
                    continue
                size += unpack(tar, member, aside)
                count += member.isfile()
        inside = Layout(aside)
        if not inside.secrets_file.exists() or not inside.api_db.exists():
            raise ConfigError([phrase("restore_not_whole", file=source)])
        inside.make()
        with DataDirLock(inside):
            pass
        if layout.root.exists():
            layout.root.rmdir()
        os.replace(aside, layout.root)
    except (OSError, EOFError, tarfile.TarError) as e:
        raise ConfigError([phrase("restore_failed", file=source, why=e)]) from e
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Report(report.version, report.created, count, size, report.registry)


def opened(source: Path) -> tarfile.TarFile:
    """Raises ConfigError for a file of another kind, OSError for one that can't be read."""
    try:
        return tarfile.open(source)
    except tarfile.ReadError as e:
        raise ConfigError([phrase("restore_no_backup", file=source)]) from e


def about(source: Path, first: tarfile.TarInfo | None, tar: tarfile.TarFile) -> tuple[dict[str, Any], Report]:
    """The manifest. Raises ConfigError for a file that is no backup, or one of a newer form."""
    data = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    try:
        told: dict[str, Any] | None = json.loads(data.read(PIECE)) if data is not None else None
        if told is None or int(told["form"]) < 1:
            raise ValueError("no manifest")
    except (ValueError, KeyError, TypeError) as e:
        raise ConfigError([phrase("restore_no_backup", file=source)]) from e
    if int(told["form"]) > FORM:
        raise ConfigError([phrase("restore_newer", file=source, version=told["version"])])
    return told, Report(str(told["version"]), str(told["created"]), 0, 0, bool(told["registry"]))


def unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> int:
    """One entry, closed to others; answers its bytes. Raises ConfigError for what no backup of ours holds."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise ConfigError([f"{member.name}: such an entry is in no backup of ours; the file was changed"])
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if member.isdir():
        target.mkdir(exist_ok=True, mode=0o700)
        return 0
    data = tar.extractfile(member)
    assert data is not None
    mode = 0o600 | (member.mode & 0o100)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        shutil.copyfileobj(data, out, PIECE)
    return member.size
