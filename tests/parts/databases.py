"""PostgreSQL and MariaDB of the tests' own: a data dir, a port and a socket of theirs, no fsync.

Without fsync a commit still reaches the operating system before it is answered (``synchronous_commit=on``,
``flush_log_at_trx_commit=2``), so a test may kill the server with -9 and expect every committed row back.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port

USER = "funai"
PASSWORD = "funai-test"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _binary(name: str, *patterns: str) -> str:
    """The program from PATH or, as Debian keeps several versions side by side, the newest that matches a pattern."""
    found = [p for pattern in patterns for p in sorted(glob.glob(pattern), key=_version)]
    path = (found and found[-1]) or shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert path, f"{name} is missing: run `make setup-test`"
    return path


def _version(path: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", path)]


def _own(path: Path, user: str) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)


def _check_name(name: str) -> str:
    assert _NAME.fullmatch(name), f"not a database name: {name!r}"
    return name


class Postgres(Daemon):
    """``url(db)`` for SQLAlchemy with asyncpg, ``dsn(db)`` for libpq clients. Connections: 300."""

    def __init__(self, workspace: Path) -> None:
        self.workspace, self.port = workspace, free_port()
        self.data = workspace / "pg"
        self._bin = Path(_binary("postgres", "/usr/lib/postgresql/*/bin/postgres")).parent
        settings = {
            "fsync": "off",
            "max_connections": "300",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.data),
            "autovacuum_naptime": "5s",
            "log_min_messages": "warning",
            "timezone": "UTC",
        }
        flags = [f for key, value in settings.items() for f in ("-c", f"{key}={value}")]
        super().__init__(
            "postgres",
            [self._bin / "postgres", "-D", self.data, "-p", str(self.port), *flags],
            log=workspace / "postgres.log",
            ready=self._ready,
            cwd=Path("/"),
            user="postgres",
            stop_signal=signal.SIGINT,  # "fast": disconnects clients, then a clean shutdown
            kill_children=True,
        )

    def create(self) -> None:
        """Make the data dir (once) and start."""
        self.data.mkdir(mode=0o700)
        _own(self.data, "postgres")
        password = self.workspace / "pg-password"
        password.write_text(PASSWORD)
        _own(password, "postgres")
        self._as_owner(
            [
                self._bin / "initdb",
                "-D",
                self.data,
                "-U",
                USER,
                "-A",
                "scram-sha-256",
                f"--pwfile={password}",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
        )
        self.start()

    def create_database(self, name: str) -> str:
        """A new empty database; answers ``url(name)``."""
        self._psql(f'CREATE DATABASE "{_check_name(name)}" STRATEGY wal_log')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._psql(f'DROP DATABASE IF EXISTS "{_check_name(name)}" WITH (FORCE)')

    def url(self, database: str = "postgres", driver: str = "asyncpg") -> str:
        return f"postgresql+{driver}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _ready(self) -> bool:
        argv = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(argv, check=False).returncode == 0

    def _psql(self, sql: str) -> None:
        subprocess.run([self._bin / "psql", "-X", "-q", self.dsn(), "-c", sql], check=True, cwd="/", capture_output=True)

    def _as_owner(self, argv: list[str | Path]) -> None:
        user = "postgres" if os.geteuid() == 0 else None
        with self.log.open("ab") as out:
            subprocess.run(argv, check=True, cwd="/", user=user, extra_groups=[] if user else None, stdout=out, stderr=out)


class MariaDB(Daemon):
    """``url(db)`` for SQLAlchemy with asyncmy. Connections: 300."""

    def __init__(self, workspace: Path) -> None:
        self.workspace, self.port = workspace, free_port()
        self.data = workspace / "my"
        self.socket = self.data / "s"
        self._account = "mysql" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        super().__init__(
            "mariadb",
            [
                _binary("mariadbd"),
                "--no-defaults",
                f"--datadir={self.data}",
                f"--socket={self.socket}",
                f"--port={self.port}",
                f"--pid-file={self.data}/pid",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
                "--character-set-server=utf8mb4",
                "--collation-server=utf8mb4_bin",
                "--default-time-zone=+00:00",
                "--max-connections=300",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-flush-method=nosync",
                "--innodb-buffer-pool-size=256M",
                "--innodb-log-file-size=64M",
                "--performance-schema=off",
            ],
            log=workspace / "mariadb.log",
            ready=self._ready,
            cwd=Path("/"),
            user="mysql",
        )

    def create(self) -> None:
        """Make the data dir (once), start, and make the account."""
        self.data.mkdir(mode=0o755)
        _own(self.data, "mysql")
        argv = [
            _binary("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--user={self._account}",
            "--auth-root-authentication-method=socket",
            f"--auth-root-socket-user={self._account}",
            "--skip-test-db",
            "--innodb-flush-method=nosync",
            "--innodb-log-file-size=64M",
        ]
        with self.log.open("ab") as out:
            subprocess.run(argv, check=True, cwd="/", stdout=out, stderr=out)
        self.start()
        self._sql(f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'127.0.0.1'")

    def create_database(self, name: str) -> str:
        """A new empty database; answers ``url(name)``."""
        self._sql(f"CREATE DATABASE `{_check_name(name)}`")
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self._sql(f"DROP DATABASE IF EXISTS `{_check_name(name)}`")

    def url(self, database: str = "mysql", driver: str = "asyncmy") -> str:
        return f"mysql+{driver}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def _client(self, *words: str) -> list[str]:
        return [_binary("mariadb"), "--no-defaults", f"--socket={self.socket}", f"--user={self._account}", *words]

    def _ready(self) -> bool:
        return self._try("SELECT 1")

    def _try(self, sql: str) -> bool:
        return self._run(sql, check=False).returncode == 0

    def _sql(self, sql: str) -> None:
        self._run(sql, check=True)

    def _run(self, sql: str, *, check: bool) -> subprocess.CompletedProcess[bytes]:
        user = self._account if os.geteuid() == 0 else None
        argv = self._client("-e", sql)
        return subprocess.run(argv, check=check, cwd="/", user=user, extra_groups=[] if user else None, capture_output=True)
