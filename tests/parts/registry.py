"""A real registry (distribution) on loopback, deletes enabled, with or without a login."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port, tcp_answers

PROGRAM = "docker-registry"
USER = "robot"
PASSWORD = "registry-test"
_BCRYPT = "$2y$05$abcdefghijklmnopqrstuujed4HrDNXEIkguQ7k7wh1O2h6/GC./a"


class Registry(Daemon):
    """``address`` is ``host:port``. ``storage`` holds its blobs; ``collect_garbage()`` frees unreferenced ones."""

    def __init__(
        self,
        workspace: Path,
        *,
        login: bool = False,
        program: str = "docker-registry",
        port: int | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.workspace, self.port = workspace, port or free_port()
        self.address = f"{host}:{self.port}"
        self.storage = workspace / "registry"
        self.login = (USER, PASSWORD) if login else None
        self.config = workspace / f"registry-{self.port}.json"
        self.config.write_text(json.dumps(self._settings()))  # YAML reads JSON
        super().__init__(
            "registry",
            [PROGRAM, "serve", self.config],
            log=workspace / "registry.log",
            ready=lambda: tcp_answers(self.port, host),
            cwd=workspace,
        )

    def collect_garbage(self) -> str:
        argv = [PROGRAM, "garbage-collect", "--delete-untagged=false", str(self.config)]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    def _settings(self) -> dict[str, object]:
        settings: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": {"addr": self.address, "secret": "test"},
        }
        if self.login:
            settings["auth"] = {"htpasswd": {"realm": "funai-test", "path": str(self._htpasswd())}}
        return settings

    def _htpasswd(self) -> Path:
        """What ``htpasswd -nbB robot registry-test`` prints: distribution takes bcrypt only."""
        path = self.workspace / "htpasswd"
        path.write_text(f"{USER}:{_BCRYPT}\n")
        return path
