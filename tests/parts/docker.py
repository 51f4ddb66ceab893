"""A real Docker daemon of the tests' own.

Two daemons on one host fight over the firewall chain ``DOCKER``. So ours only starts where no other runs, one session
at a time, and takes its firewall rules away again.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from funai.base.process.proc import base_environment
from funai.standalone.parts import base_image, probe
from funai.standalone.parts.engine import EngineChoice, EngineKind, fingerprint
from tests.parts.daemon import Daemon
from tests.parts.firewall import Firewall
from tests.parts.podman import copy_image
from tests.parts.slots import Slot, release_mount
from tests.parts.waiting import unix_answers

MACHINES_OWN = Path("/var/run/docker.sock")
BRIDGE = "funai-docker0"  # the firewall clean-up knows its rules by the word "docker"
SUBNET = "10.149.0.1/24"


class DockerEngine(Daemon):
    """``choice`` is what production code takes, ``socket`` its API, ``cli(...)`` the program for a test's own needs."""

    def __init__(self, slot: Slot, workspace: Path, machine: EngineChoice) -> None:
        self.workspace, self._machine, self._data = workspace, machine, slot.folder / "data"
        self.socket = workspace / "docker.sock"
        self._firewall = Firewall(ours=BRIDGE)
        super().__init__(
            "dockerd",
            [
                "dockerd",
                "--data-root",
                self._data,
                "--exec-root",
                workspace / "exec",
                "--pidfile",
                workspace / "docker.pid",
                "--host",
                f"unix://{self.socket}",
                "--bridge",
                BRIDGE,
                "--containerd-namespace",
                "funai-test",
                "--log-level",
                "warn",
                "--config-file",
                self._config(),
                "--default-address-pool",
                "base=10.148.0.0/16,size=24",
            ],
            log=workspace / "dockerd.log",
            ready=lambda: unix_answers(self.socket) and self._answers(),
            stop_seconds=30,
            kill_children=True,
        )
        self.choice = EngineChoice(
            kind=EngineKind.DOCKER,
            binary="docker",
            version="test",
            rootless=False,
            socket=self.socket,
            environment={"DOCKER_HOST": f"unix://{self.socket}"},
            why="the tests' own daemon",
            limits=tuple(probe.Limit),
            host_reaches_containers=True,
            fingerprint=fingerprint(EngineKind.DOCKER, "docker"),
        )

    def create(self) -> None:
        """Start, remove what an earlier session left, and have the base image."""
        assert not machines_daemon_runs(), f"stop the daemon behind {MACHINES_OWN} first: two would fight over the firewall"
        self._firewall.remember()
        # Otherwise dockerd switches forwarding on itself and then drops everybody else's forwarded packets.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")
        _ip("link", "delete", BRIDGE, check=False)
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("address", "add", SUBNET, "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        self.start()
        self.clear()
        if not self.cli("images", "--quiet", base_image.IMAGE):
            copy_image(self._machine, base_image.IMAGE, ["docker", "load", "--quiet"], self.env_for_cli)

    def destroy(self) -> None:
        """Remove what runs, stop, and leave the host's network as it was."""
        if self.running:
            self.clear()
        self.stop()
        _ip("link", "delete", BRIDGE, check=False)
        self._firewall.restore()
        release_mount(self._data)

    @property
    def env_for_cli(self) -> dict[str, str]:
        return {**base_environment(), **self.choice.environment}

    def cli(self, *words: str | Path, check: bool = True, seconds: float = 120) -> str:
        """Run ``docker words…``; answers its output, stripped."""
        argv = ["docker", *map(str, words)]
        done = subprocess.run(argv, env=self.env_for_cli, capture_output=True, text=True, timeout=seconds, check=False)
        assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr.strip()}"
        return done.stdout.strip()

    def clear(self) -> None:
        """Remove every container and every network that isn't Docker's own."""
        ids = self.cli("ps", "--all", "--quiet", "--no-trunc").split()
        if ids:
            self.cli("rm", "--force", "--volumes", *ids)
        self.cli("network", "prune", "--force")

    def _answers(self) -> bool:
        return subprocess.run(["docker", "version"], env=self.env_for_cli, capture_output=True, check=False).returncode == 0

    def _config(self) -> Path:
        """An empty file of our own, so that the machine's ``daemon.json`` has no say."""
        path = self.workspace / "daemon.json"
        path.write_text("{}\n")
        return path


def machines_daemon_runs() -> bool:
    return MACHINES_OWN.exists() and unix_answers(MACHINES_OWN)


def _ip(*words: str, check: bool = True) -> None:
    assert os.geteuid() == 0, "a Docker daemon of the tests' own needs root"
    subprocess.run(["ip", *words], check=check, capture_output=True)
