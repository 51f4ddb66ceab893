"""Machines as namespaces of network and mounts: a switch in this one, and a link to each of them that can be cut.

``Switch(number)`` is ``10.143.<number>.0/24`` with this machine at ``.1`` and machine ``n`` at ``.1n``. Nothing is routed
beyond it, and what a machine's engine does to bridges and firewall stays in its namespace. Podman keeps one resolver for all
networks of a host, found by a file below ``/run/containers/networks``: each machine has a folder of its own there, else the
resolver of one would be taken for every other's, this host's too.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NETWORKS = Path("/run/containers/networks")


class Switch:
    """``make`` may be called over the remains of a killed session; ``remove`` is idempotent."""

    def __init__(self, number: int, machines: int) -> None:
        self.number, self.machines = number, range(1, machines + 1)
        self.bridge, self.host = f"funain{number}", f"10.143.{number}.1"
        self._mounts = Path("/run") / self.bridge
        """Holds each machine's mount namespace, and its folder of networks."""

    def address(self, machine: int) -> str:
        return f"10.143.{self.number}.{10 + machine}"

    def within(self, machine: int) -> list[str]:
        """The words that begin a command on that machine."""
        name = self._name(machine)
        return ["nsenter", f"--net=/run/netns/{name}", f"--mount={self._mounts / name}"]

    def make(self) -> None:
        self.remove()
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("address", "add", f"{self.host}/24", "dev", self.bridge)
        _ip("link", "set", self.bridge, "up")
        NETWORKS.mkdir(parents=True, exist_ok=True)
        self._mounts.mkdir()
        _run("mount", "--bind", self._mounts, self._mounts)
        _run("mount", "--make-private", self._mounts)  # a namespace can be kept below a private mount alone
        for machine in self.machines:
            self._plug_in(machine)

    def _plug_in(self, machine: int) -> None:
        name, port = self._name(machine), self._port(machine)
        _ip("netns", "add", name)
        networks = self._mounts / f"{name}-networks"
        networks.mkdir()
        (self._mounts / name).touch()
        bind = ("mount", "--bind", networks, NETWORKS)
        _run("unshare", f"--mount={self._mounts / name}", "--propagation", "slave", *bind)
        _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", port, "master", self.bridge, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{self.address(machine)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        # Engines look for the way out of a machine; a public address is still reached by none.
        _ip("-n", name, "route", "add", "default", "via", self.host)

    def cut(self, machine: int) -> None:
        _ip("link", "set", self._port(machine), "down")

    def mend(self, machine: int) -> None:
        _ip("link", "set", self._port(machine), "up")

    def remove(self) -> None:
        """Processes of the machines must have ended, or their namespaces stay."""
        for machine in self.machines:
            _ip("netns", "delete", self._name(machine), check=False)
            _ip("link", "delete", self._port(machine), check=False)
            _run("umount", self._mounts / self._name(machine), check=False)
        _ip("link", "delete", self.bridge, check=False)
        _run("umount", self._mounts, check=False)
        shutil.rmtree(self._mounts, ignore_errors=True)

    def _name(self, machine: int) -> str:
        return f"{self.bridge}-{machine}"

    def _port(self, machine: int) -> str:
        return f"{self.bridge}p{machine}"


def _ip(*words: str, check: bool = True) -> None:
    _run("ip", *words, check=check)


def _run(*words: str | Path, check: bool = True) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr.strip()}"
