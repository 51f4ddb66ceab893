"""How the agent runs on this machine: as a systemd service from the unit that the package brings, or in the foreground."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from funai.base.config.settings import read_properties
from funai.contracts.errors import ConfigError
from funai.gateway.haproxy.keeper import lives, read_pid

NAME = "fun-ai-studio-runtime.service"
FOLDER = Path("/etc/systemd/system")
_CHECKOUT, _PACKAGED = Path(__file__).parents[4] / "deploy" / "systemd", Path(__file__).parents[1] / "units"
"""Where the unit is: in a working tree, or in an installed package."""
_PROGRAM, _CONFIG, _PODMAN = "/opt/funai/bin/funai", "/etc/funai/agent.properties", "podman.socket"


class Service(Protocol):
    """``start`` returns once the agent was started, anew when it ran before; ``stop`` once it and its proxy have ended."""

    def start(self, config: Path, engine: str) -> None: ...

    def stop(self, config: Path) -> None: ...


def unit_text(program: str, config: Path, engine: str) -> str:
    """The package's unit with this machine's paths. ``%`` and spaces in a path are systemd's own signs."""
    text = next(f for folder in (_CHECKOUT, _PACKAGED) if (f := folder / NAME).exists()).read_text(encoding="utf-8")
    if engine == "docker":
        text = text.replace(f"After={_PODMAN}\nWants={_PODMAN}", "After=docker.service\nWants=docker.service")
    quoted = [f'"{path}"' if " " in path else path for path in (program.replace("%", "%%"), str(config).replace("%", "%%"))]
    return text.replace(_PROGRAM, quoted[0]).replace(_CONFIG, quoted[1])


def has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None


class Systemd:
    def __init__(self, program: str, *, folder: Path = FOLDER, systemctl: str = "systemctl") -> None:
        self._program, self._folder, self._systemctl = program, folder, systemctl

    def start(self, config: Path, engine: str) -> None:
        file = self._folder / NAME
        file.write_text(unit_text(self._program, config, engine), encoding="utf-8")
        self._run("daemon-reload")
        if engine == "podman":
            self.open_engine()
        self._run("enable", NAME)
        self._run("restart", NAME)

    def open_engine(self) -> None:
        """Podman's API answers at its socket, now and at every boot."""
        self._run("enable", "--now", _PODMAN)

    def stop(self, config: Path) -> None:
        """The unit leaves HAProxy alone (KillMode=process), so that is stopped by its own pid file."""
        file = self._folder / NAME
        if file.exists():
            self._run("disable", "--now", NAME)
            file.unlink()
            self._run("daemon-reload")
        stop_proxy(config)

    def _run(self, *words: str) -> None:
        """Raises ConfigError with what systemctl said."""
        done = subprocess.run([self._systemctl, *words], capture_output=True, text=True, check=False, timeout=180)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-600:]
            raise ConfigError([f"systemctl {' '.join(words)}: {said or done.returncode}; see journalctl -u {NAME}"])


class Foreground:
    """The agent as a child of this command; ``child`` is None until it was started."""

    def __init__(self, program: list[str]) -> None:
        self._program = program
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, config: Path, engine: str) -> None:  # noqa: ARG002  # the settings file names the engine
        self.child = subprocess.Popen([*self._program, "serve", "agent", "--config", str(config)])

    def stop(self, config: Path) -> None:
        if self.child:
            self.child.terminate()
            self.child.wait()
        stop_proxy(config)


def stop_proxy(config: Path) -> None:
    """End the HAProxy that the agent of this settings file left running, if there is one."""
    given = read_properties(config) if config.exists() else {}
    pid = read_pid(Path(given.get("gateway.data-dir", "/var/lib/funai/gateway")) / "haproxy.pid")
    if pid is not None and lives(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
