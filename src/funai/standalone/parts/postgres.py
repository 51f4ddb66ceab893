"""PostgreSQL for apps on one machine: Debian's, in a folder and at an address of its own.

It runs as the account ``postgres``, which can't look into the data dir, so its files are below ``/var/lib/funai-postgres``.
Apps in containers can't reach loopback, and it shall not listen where other machines reach it: it gets an address of the
benchmarking network 198.18.0.0/15 on this machine's ``lo``, which no router carries. Its host rules let in this machine and
the pool that apps' networks come from, with a password.
"""

from __future__ import annotations

import glob
import os
import pwd
import re
import shutil
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from funai.agent.settings import RuntimeSettings
from funai.base.files import write_whole
from funai.base.process.daemon import Daemon, Program, keep_up
from funai.base.process.ports import free_port
from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, checked, run
from funai.contracts.errors import ConfigError
from funai.standalone.layout import Layout, Secrets
from funai.standalone.parts import loaddress

ROOT = Path("/var/lib/funai-postgres")
ACCOUNT = "postgres"
ADMIN = "funai"
SECONDS = 60
_AS = ("setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", "--")


class NoPostgres(Exception):
    """It can't be had here; the text says why."""


def programs() -> Path | None:
    """The folder of Debian's newest PostgreSQL; None where the package ``postgresql`` isn't installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: [int(n) for n in re.findall(r"\d+", p)])
    return Path(found[-1]).parent if found else None


def host_rules(at: str, pool: str) -> str:
    """``pg_hba.conf``: the platform's account from this machine alone, apps' from their networks."""
    return f"host all {ADMIN} {at}/32 scram-sha-256\nhost all {ADMIN} all reject\nhost all all {pool} scram-sha-256\n"


async def start(layout: Layout, secrets: Secrets, instance: str, pool: str | None, teardown: AsyncExitStack) -> str:
    """The URL of the platform's account. Raises NoPostgres."""
    found = programs()
    if found is None:
        raise NoPostgres("the package postgresql is not installed (apt-get install postgresql)")
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise NoPostgres("it needs root and setpriv (util-linux)")
    at, folder = loaddress.of(instance, loaddress.POSTGRES), ROOT / (instance or "default")
    password = secrets.postgres.get_secret_value()
    await _make(found, folder, password)
    write_whole(folder / "data" / "pg_hba.conf", host_rules(at, pool or _default_pool()))
    _give(folder / "data" / "pg_hba.conf")
    port = _port(folder)
    daemon = _daemon(found, folder, at, port, layout)
    try:
        await loaddress.hold(at, teardown)
        await keep_up([daemon], teardown)
    except (ConfigError, loaddress.NoAddress) as e:
        raise NoPostgres(str(e)) from e
    return f"postgresql://{ADMIN}:{password}@{at}:{port}/postgres"


def _default_pool() -> str:
    return str(RuntimeSettings.model_fields["app_subnets"].default)


def _port(folder: Path) -> int:
    """Chosen once: apps have it in their environment."""
    file = folder / "port"
    if not file.exists():
        write_whole(file, f"{free_port()}\n")
    return int(file.read_text())


async def _make(found: Path, folder: Path, password: str) -> None:
    """The cluster, once. Half of one, left by a kill, is made anew: nothing is in it yet."""
    if (folder / "made").exists():
        return
    data, secret = folder / "data", folder / "password"
    shutil.rmtree(folder, ignore_errors=True)
    data.mkdir(mode=0o700, parents=True)
    folder.chmod(0o711)
    ROOT.chmod(0o711)
    write_whole(secret, password)
    _give(data)
    _give(secret)
    words = ("-D", str(data), "-U", ADMIN, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8")
    try:
        initdb = Command((*_AS, str(found / "initdb"), *words, "--no-instructions"), cwd=folder)
        await checked(initdb, NoPostgres, timeout=SECONDS)
    finally:
        secret.unlink(missing_ok=True)
    write_whole(folder / "made", "")


def _give(path: Path) -> None:
    account = pwd.getpwnam(ACCOUNT)
    os.chown(path, account.pw_uid, account.pw_gid)


def _daemon(found: Path, folder: Path, at: str, port: int, layout: Layout) -> Daemon:
    settings = {
        "listen_addresses": at,
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "password_encryption": "scram-sha-256",
        "log_min_messages": "warning",
    }
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    argv = (*_AS, str(found / "postgres"), "-D", str(folder / "data"), "-p", str(port), *flags)
    ready = Command((str(found / "pg_isready"), "-q", "-h", at, "-p", str(port)))

    async def answers() -> bool:
        try:
            return (await run(ready, timeout=5)).code == 0
        except (ProcessMissing, ProcessTimeout):
            return False

    config = (folder / "data" / "pg_hba.conf").read_text()
    # SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for apps that hold connections.
    program = Program("postgres", argv, {"LC_ALL": "C.UTF-8"}, config, stop_signal=signal.SIGINT)
    return Daemon(program, layout.run, layout.log, answers, ready_seconds=SECONDS)
