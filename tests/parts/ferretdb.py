"""A server that speaks MongoDB's wire protocol: ``mongod`` where it is on PATH, else FerretDB 1.24 with its SQLite backend.

``mongod`` isn't among Debian's packages. Set-up builds FerretDB once into the user's cache (see ``scripts/ferretdb.py``);
where it can't be built, tests that need it are skipped with a word. It has accounts, but no roles: what those say is
checked against the commands' published form.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from scripts.ferretdb import binary
from tests.parts.daemon import Daemon
from tests.parts.programs import mongod
from tests.parts.waiting import free_port

ADMIN, PASSWORD = "root", "p@ss/w:rd"


class Mongo(Daemon):
    """A server without accounts on loopback; ``accounts=True``: one that wants a login, ``ADMIN`` with ``PASSWORD``."""

    def __init__(self, workspace: Path, *, accounts: bool = False) -> None:
        self.port, data, self.own = free_port(), workspace / "data", mongod()
        data.mkdir(exist_ok=True)
        words = self._mongod(data, accounts) if self.own else self._ferretdb(data, accounts)
        super().__init__("mongo", words, log=workspace / "mongo.log", ready=self._ready, start_seconds=60)
        self._admin = accounts and self.own is not None

    def start(self) -> None:
        super().start()
        if self._admin:  # the first account is made from loopback, before there is any
            with MongoClient[dict[str, Any]]("127.0.0.1", self.port) as client:
                client.admin.command({"createUser": ADMIN, "pwd": PASSWORD, "roles": ["root"]})
            self._admin = False

    def _mongod(self, data: Path, accounts: bool) -> list[str]:
        words = [str(self.own), f"--dbpath={data}", "--bind_ip=127.0.0.1", f"--port={self.port}", "--nounixsocket"]
        return [*words, *(["--auth"] if accounts else [])]

    def _ferretdb(self, data: Path, accounts: bool) -> list[str]:
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
        return words

    def _ready(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
