"""Where everything of one machine's platform lives under ``--data-dir``, and its secrets, made once."""

from __future__ import annotations

import fcntl
import json
import os
import secrets as random
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from funai.base.files import write_whole
from funai.base.process.sshkeys import ensure_private_key, public_line
from funai.contracts.errors import ConfigError

FIRST_ADMIN = "admin"


@dataclass(frozen=True)
class Layout:
    """Paths under the data dir; :meth:`make` has every folder there, mode 0700."""

    root: Path

    def make(self) -> None:
        """Raises OSError. Also closes to others what a package, systemd or ``mkdir`` made open before.

        A folder that holds other things than ours is left as it is; what is ours in it is closed all the same.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.secrets_file.exists() or {p.name for p in self.root.iterdir()} <= {self.log.name, self.config_file.name}:
            _close(self.root, 0o700)
        for folder in (self.keys, self.git, self.registry, self.run, self.log, self.runner, self.gateway):
            folder.mkdir(exist_ok=True, mode=0o700)
            _close(folder, 0o700)
        for database in (self.api_db, self.deploy_db):
            os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            for file in (database, *(database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm", "-journal"))):
                if file.exists():
                    _close(file, 0o600)

    @property
    def config_file(self) -> Path:
        return self.root / "funai.toml"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def git(self) -> Path:
        return self.root / "git"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def runner(self) -> Path:
        return self.root / "runner"

    @property
    def agent(self) -> Path:
        return self.root / "agent"

    @property
    def gateway(self) -> Path:
        return self.root / "gateway"

    @property
    def mongo(self) -> Path:
        return self.root / "mongo"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    @property
    def seal_key(self) -> Path:
        return self.keys / "env-seal.key"

    @property
    def git_host_key(self) -> Path:
        return self.keys / "git_host_ed25519"

    @property
    def runner_key(self) -> Path:
        return self.keys / "runner_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.keys / "known_hosts"

    @property
    def api_db(self) -> Path:
        return self.root / "api.db"

    @property
    def deploy_db(self) -> Path:
        return self.root / "deploy.db"

    @property
    def registries_conf(self) -> Path:
        return self.root / "registries.conf"

    @property
    def engine_socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def addresses_file(self) -> Path:
        return self.run / "addresses.json"


def _close(path: Path, mode: int) -> None:
    """Take from others what ``mode`` doesn't give them; another user's file is left alone."""
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~mode:
        path.chmod(stat.S_IMODE(found.st_mode) & mode)


def _secret() -> SecretStr:
    return SecretStr(random.token_urlsafe(32))


class Secrets(BaseModel):
    """Every shared secret of the machine. A file written by an older version gains what it lacks."""

    model_config = ConfigDict(frozen=True)

    jwt: SecretStr = Field(default_factory=_secret)
    deploy: SecretStr = Field(default_factory=_secret)
    runner: SecretStr = Field(default_factory=_secret)
    node: SecretStr = Field(default_factory=_secret)
    operator: SecretStr = Field(default_factory=_secret)
    agent: SecretStr = Field(default_factory=_secret)
    git: SecretStr = Field(default_factory=_secret)
    probe: SecretStr = Field(default_factory=_secret)
    registry_http: SecretStr = Field(default_factory=_secret)
    registry_password: SecretStr = Field(default_factory=_secret)
    postgres: SecretStr = Field(default_factory=_secret)
    mongo: SecretStr = Field(default_factory=_secret)
    admin_password: SecretStr = Field(default_factory=lambda: SecretStr(random.token_urlsafe(12)))


def load_secrets(file: Path) -> tuple[Secrets, bool]:
    """(secrets, made now). Raises ConfigError when the file is there but unreadable: a new one would lock people out."""
    existing: dict[str, str] = {}
    if file.exists():
        try:
            existing = json.loads(file.read_text())
            secrets = Secrets.model_validate(existing)
        except (OSError, ValueError, ValidationError) as e:
            raise ConfigError([f"{file}: can't be read as secrets ({type(e).__name__}); restore it from a backup"]) from e
    else:
        secrets = Secrets()
    plain = {name: value.get_secret_value() for name, value in secrets}
    if plain != existing:
        write_whole(file, json.dumps(plain, indent=2) + "\n")
    return secrets, not existing


def ensure_key(file: Path, comment: str) -> str:
    """A private Ed25519 key, made once; answers its public line ``<type> <base64>``."""
    return public_line(ensure_private_key(file, comment))


class DataDirLock:
    """One platform a data dir: held by the kernel, so that kill -9 frees it."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.run / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> DataDirLock:
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise ConfigError([f"{self._path.parent.parent}: already in use by `funai up` with pid {pid}"]) from e
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()
