"""``funai backup --settings DIR`` and ``funai restore --settings DIR``: the state of services that run apart from each other.

``DIR`` holds their files as the units name them (``api.properties``, ``deploy.properties``, ``git.properties``,
``runner.properties``, beside each an ``.env``). In the tar: these files, the databases of API and Deploy, the key file,
and what the Git server and Runner on this machine keep. The registry is not in it: it has a backup of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funai import __version__
from funai.base.config.settings import env_form, read_properties
from funai.base.db import dumps
from funai.cli.verbs.operator.serve import settings_class
from funai.contracts.errors import ConfigError
from funai.standalone.upkeep.backup import MANIFEST, Report, about, added, opened, put_manifest, unpack

CLASSES = {
    "api": "api.ApiSettings",
    "deploy": "deploy.DeploySettings",
    "git": "git.GitSettings",
    "runner": "runner.RunnerSettings",
}
DATABASES = ("api", "deploy")
FILES = {
    "api": ("env_key_file",),
    "deploy": ("env_key_file",),
    "git": ("repos_dir", "host_key_path"),
    "runner": ("ssh_key_path", "known_hosts_path"),
}
"""Settings that name a file or folder which is state."""
PUBLIC = ".pub"
"""The end of a public key's name, beside its private one."""
LARGEST = 1024 * 1024
"""Of a settings file."""


@dataclass(frozen=True)
class Services:
    """What a folder of settings says: databases by service, and by setting (``git.repos_dir``) where state is."""

    folder: Path
    databases: Mapping[str, str]
    paths: Mapping[str, Path]

    @property
    def dumps(self) -> dict[str, str]:
        """File in the tar → URL; API and Deploy may share a database."""
        named: dict[str, list[str]] = {}
        for name, url in self.databases.items():
            named.setdefault(url, []).append(name)
        return {f"databases/{'-'.join(names)}": url for url, names in named.items()}

    @property
    def kinds(self) -> dict[str, str]:
        """File in the tar → kind of database."""
        return {member: url.partition(":")[0].partition("+")[0] for member, url in self.dumps.items()}


def read(folder: Path) -> Services:
    """Raises ConfigError with every problem of the files, and for a folder without API and Deploy."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name, cls in CLASSES.items():
        file = folder / f"{name}.properties"
        if not file.exists():
            continue
        extra = folder / f"{name}.env"
        environ = {env_form(k): v for k, v in read_properties(extra).items()} if extra.exists() else {}
        try:
            found[name] = settings_class(cls).load(file, environ=environ)
        except ConfigError as e:
            problems += e.problems
    if problems:
        raise ConfigError(problems)
    databases = {name: str(found[name].datasource_url) for name in DATABASES if name in found}
    if not databases:
        raise ConfigError([f"{folder}: has neither api.properties nor deploy.properties"])
    named = [(service, setting) for service in found for setting in FILES[service]]
    values = {f"{service}.{setting}": getattr(found[service], setting) for service, setting in named}
    return Services(folder, databases, {name: Path(path).absolute() for name, path in values.items() if path})


async def write(folder: Path, target: Path) -> Report:
    """Write the backup, mode 0600. Raises ConfigError; then there is none."""
    services = read(folder)
    if target.exists():
        raise ConfigError([f"{target}: is there already; name another file"])
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as name:
            scratch = Path(name)
            for member, url in services.dumps.items():
                file = scratch / member
                file.parent.mkdir(exist_ok=True)
                await dumps.dump(url, file)
            aside = scratch / "backup.tar"
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                with tarfile.open(fileobj=out, mode="w:gz" if target.suffix in (".gz", ".tgz") else "w") as tar:
                    count, size = _fill(tar, services, scratch, created)
                out.flush()
                os.fsync(out.fileno())
            os.replace(aside, target)
    except OSError as e:
        raise ConfigError([f"{target}: the backup could not be written: {e}"]) from e
    return Report(__version__, created, count, size, registry=False)


def _fill(tar: tarfile.TarFile, services: Services, scratch: Path, created: str) -> tuple[int, int]:
    """Adds everything, databases first; answers (files, bytes)."""
    put_manifest(tar, created, registry=False, services=services.kinds)
    count = size = 0
    for file, name in _members(services, scratch):
        grown = added(tar, file, name)
        count, size = count + (grown is not None), size + (grown or 0)
    return count, size


def _members(services: Services, scratch: Path) -> Iterator[tuple[Path, str]]:
    """Files and folders in the order in which they are copied: what points to something comes before it."""
    for member in services.dumps:
        yield scratch / member, member
    for file in sorted(services.folder.iterdir()):
        if file.is_file() and file.suffix in (".properties", ".env") and file.stat().st_size <= LARGEST:
            yield file, f"settings/{file.name}"
    for name, path in services.paths.items():
        for end in ("", PUBLIC):
            found = path.with_name(f"{path.name}{end}")
            for file in _below(found) if found.is_dir() else [found] if found.exists() else []:
                inside = file.relative_to(found).as_posix()
                yield file, f"files/{name}{end}" + (f"/{inside}" if inside != "." else "")


def _below(folder: Path) -> Iterator[Path]:
    """The folder and all below, ``objects`` last: a reference's object was there before the reference was copied."""
    yield folder
    for entry in sorted(folder.iterdir(), key=lambda p: (p.name == "objects", p.name)):
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(entry)
        elif entry.is_file() and not entry.is_symlink():
            yield entry


async def restore(source: Path, folder: Path) -> Report:
    """Bring a backup back. Settings files that ``folder`` has stay as they are: so a database may have another address.

    Databases must be without tables, and files not there. All is looked at before anything is changed. Raises ConfigError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".funai-restore-", dir=folder) as name:
        scratch = Path(name)
        report, kinds, owners = _unpacked(source, scratch)
        given = scratch / "settings"
        for file in sorted(given.iterdir()) if given.is_dir() else ():
            if (folder / file.name).exists():
                shutil.copyfile(folder / file.name, file)
        services = read(given)
        loads = _loads(source, services, kinds)
        for url in loads.values():
            await dumps.check_empty(url)
        moves = _moves(source, services, scratch / "files")
        for member, url in loads.items():
            await dumps.load(url, scratch / member)
        moves |= {file: folder / file.name for file in given.iterdir() if not (folder / file.name).exists()}
        for file, target in moves.items():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.move(file, target)
            _give(target, file.relative_to(scratch), owners)
    return report


def _unpacked(source: Path, scratch: Path) -> tuple[Report, dict[str, str], dict[str, str]]:
    """The tar's files in a folder of this user's alone; kinds of databases by dump, owners by entry. Raises ConfigError."""
    owners: dict[str, str] = {}
    try:
        with opened(source) as tar:
            told, report = about(source, tar.next(), tar)
            kinds: object = told.get("services")
            if not isinstance(kinds, dict):
                raise ConfigError([f"{source}: is a backup of one machine; leave --settings out, and name its data dir"])
            count = size = 0
            for member in tar:
                if member.name != MANIFEST:
                    size += unpack(tar, member, scratch)
                    count += member.isfile()
                    owners[member.name] = member.uname
    except (OSError, EOFError, tarfile.TarError) as e:
        raise ConfigError([f"{source}: can't be restored: {e}"]) from e
    shown = {str(k): str(v) for k, v in kinds.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return Report(report.version, report.created, count, size, registry=False), shown, owners


def _give(target: Path, entry: Path, owners: Mapping[str, str]) -> None:
    """All of it to the accounts that it had by name, where they are here and this process may."""
    for file in (_below(target) if target.is_dir() else [target]) if os.geteuid() == 0 else ():
        with suppress(KeyError):
            account = pwd.getpwnam(owners[(entry / file.relative_to(target)).as_posix()])
            os.chown(file, account.pw_uid, account.pw_gid)


def _loads(source: Path, services: Services, kinds: Mapping[str, str]) -> dict[str, str]:
    """Dump → URL. Raises ConfigError where the settings want other databases than the backup has."""
    if services.kinds != kinds:
        told = f"{source}: has {kinds}, but the settings want {services.kinds}: kinds of databases can't be changed"
        raise ConfigError([told])
    return services.dumps


def _moves(source: Path, services: Services, unpacked: Path) -> dict[Path, Path]:
    """What goes where: to the paths that the settings name, and nowhere else. Raises ConfigError for what is there already."""
    found: dict[Path, Path] = {}
    for name, path in services.paths.items():
        for end in ("", PUBLIC):
            file, target = unpacked / f"{name}{end}", path.with_name(f"{path.name}{end}")
            if not file.exists() or target in found.values():
                continue
            if target.is_dir() and not any(target.iterdir()):
                target.rmdir()
            if target.exists():
                raise ConfigError([f"{target}: is there already; move it aside, then restore {source} again"])
            found[file] = target
    return found
