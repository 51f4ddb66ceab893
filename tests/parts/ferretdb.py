"""FerretDB 1.24 with its SQLite backend: speaks MongoDB's wire protocol, and builds where Go is.

``mongod`` isn't among Debian's packages. Set-up builds FerretDB once into the user's cache (see ``scripts/ferretdb.py``);
where it can't be built, tests that need it are skipped with a word. It has accounts, but no roles: what those say is
checked against the commands' published form.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from scripts.ferretdb import binary
from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port

ADMIN, PASSWORD = "root", "p@ss/w:rd"


class Mongo(Daemon):
    """A server without accounts on loopback; ``accounts=True``: one that wants a login, ``ADMIN`` with ``PASSWORD``."""

    def __init__(self, workspace: Path, *, accounts: bool = False) -> None:
        self.port, data = free_port(), workspace / "data"
        data.mkdir(exist_ok=True)
        ferret = binary()
        assert ferret is not None
        words = [
            str(ferret),
            "--handler=sqlite",
            f"--sqlite-url=file:{data}/",
            f"--listen-addr=127.0.0.1:{self.port}",
            "--telemetry=disable",
            "--debug-addr=-",
            f"--state-dir={data}",
            "--log-level=error",
        ]
        if accounts:
            words += [
                "--test-enable-new-auth",
                "--setup-database=admin",
                f"--setup-username={ADMIN}",
                f"--setup-password={PASSWORD}",
            ]
        super().__init__("mongo", words, log=workspace / "mongo.log", ready=self._ready)

    def _ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
