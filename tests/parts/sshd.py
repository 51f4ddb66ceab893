"""OpenSSH's own server on loopback, with a host key of its own and one authorised client key."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port, tcp_answers

_NEEDED_BY_ROOT = Path("/run/sshd")


class Sshd(Daemon):
    """``url(repository)`` is a clone address, ``client_key`` the private key that may enter, ``known_hosts()`` the pin.

    Logins are the test's own account: OpenSSH knows no other. Git's programs do the rest.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace, self.port = workspace, free_port()
        self.host_key, self.client_key = workspace / "host_key", workspace / "client_key"
        self.login = getpass.getuser()
        self.authorized_keys = workspace / "authorized_keys"
        program = shutil.which("sshd") or "/usr/sbin/sshd"
        config = workspace / "sshd_config"
        config.write_text(self._config())
        super().__init__(
            "sshd", [program, "-D", "-e", "-f", config], log=workspace / "sshd.log", ready=lambda: tcp_answers(self.port)
        )

    def create(self) -> None:
        """Make the keys and start."""
        new_key(self.host_key)
        new_key(self.client_key)
        self.authorized_keys.write_text(self.client_key.with_suffix(".pub").read_text())
        if os.geteuid() == 0:
            _NEEDED_BY_ROOT.mkdir(mode=0o755, exist_ok=True)
        self.start()

    def change_host_key(self) -> None:
        """Come back as a server with another host key (what an impostor would be)."""
        self.stop()
        self.host_key.unlink()
        new_key(self.host_key)
        self.start()

    def known_hosts(self) -> str:
        """The line that pins the current host key."""
        return f"[127.0.0.1]:{self.port} {self.host_key.with_suffix('.pub').read_text().strip()}\n"

    def url(self, repository: Path) -> str:
        return f"ssh://{self.login}@127.0.0.1:{self.port}{repository}"

    def _config(self) -> str:
        lines = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.host_key,
            "PidFile": "none",
            "AuthorizedKeysFile": self.authorized_keys,
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "AllowUsers": self.login,
            "LogLevel": "VERBOSE",
        }
        return "".join(f"{key} {value}\n" for key, value in lines.items())


def new_key(path: Path) -> None:
    """An ed25519 key pair without a passphrase: ``path`` and ``path.pub``."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "funai-test", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
