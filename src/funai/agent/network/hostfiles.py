"""The four files that Podman would keep in the host's ``/run`` for each container, kept in the agent's state instead.

Podman binds ``/etc/hosts``, ``/etc/hostname``, ``/etc/resolv.conf`` and ``/run/.containerenv`` from its run directory, a tmpfs
on most hosts, writable and without a limit: an app could fill it, and with it every other program's ``/run``. An app gets
files of ours, read-only. Docker keeps its own beside the container on disk; its driver makes them read-only in place.

``resolv.conf`` is overwritten in place, so that running containers see another resolver at once.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from funai.agent.engine.contract import EngineRefused
from funai.agent.network.networks import Place
from funai.contracts import naming

RESOLV_CONF = Path("/etc/resolv.conf")
BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
"""Where systemd-resolved names the servers behind its stub at 127.0.0.53."""
RESOLV_BYTES = 1024
"""Size of the file, filled up with line ends: one write replaces all of it."""
MAX_SERVERS = 3
"""As many as libc asks."""


@dataclass(frozen=True, slots=True)
class Resolvers:
    """What a ``resolv.conf`` of this host says, without servers on loopback: no app can reach those."""

    servers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Lines of ``options``."""


def resolvers(text: str) -> Resolvers:
    words = [line.split() for line in text.splitlines() if line.strip() and line.lstrip()[0] not in "#;"]
    named = [w[1] for w in words if w[0] == "nameserver" and len(w) > 1]
    # Apps have no IPv6, and the host's loopback is not theirs.
    usable = tuple(server for server in named if ":" not in server and not server.startswith("127."))
    return Resolvers(usable, tuple(" ".join(w) for w in words if w[0] == "options"))


def resolv_conf(bridge: str, host: Resolvers, *, bridge_answers: bool = True) -> str:
    """``bridge`` is Podman's own resolver; where it does not answer, the host's servers are asked at once."""
    first = (bridge,) if bridge and (bridge_answers or not host.servers) else ()
    servers = [f"nameserver {server}" for server in (*first, *host.servers)[:MAX_SERVERS]]
    text = "\n".join(["search dns.podman", *servers, *host.others, ""])
    return text.ljust(RESOLV_BYTES, "\n")


def hosts(hostname: str, address: str, bridge: str) -> str:
    """Without an address the name is left to Podman's resolver."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{bridge}\thost.containers.internal"] if bridge else []
    lines += [f"{address}\t{hostname}"] if address else []
    return "\n".join([*lines, ""])


class HostFiles:
    """Blocking, so called from threads. ``folder`` None keeps no files: containers have the engine's."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        """Held while files are written: all of them name the same resolver afterwards."""
        self._bridge_answers = True
        self._settled = False
        """Whether the files that a former life left say the same."""

    def of(self, app_id: int, place: Place) -> Mapping[str, str]:
        """Path in the container → path of the file, written where it is another. Raises EngineRefused when it can't be."""
        if self._folder is None:
            return {}
        folder, name = self._of_app(app_id), naming.container_host(app_id)
        texts = {
            "/etc/hosts": (f"hosts-{place.address or 'any'}", hosts(name, place.address, place.bridge)),
            "/etc/hostname": ("hostname", f"{name}\n"),
            "/etc/resolv.conf": (self._resolv_name(place.bridge), self._resolv_conf(place.bridge)),
            "/run/.containerenv": ("containerenv", ""),
        }
        try:
            with self._lock:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                for file, text in texts.values():
                    _overwrite(folder / file, text)
        except OSError as e:
            raise EngineRefused(f"RUNTIME_STATE_DIR {folder} takes no files: {e.strerror}") from e
        return {target: str(folder / file) for target, (file, _) in texts.items()}

    def ask_hosts_servers(self, instead: bool) -> bool:
        """Point all apps at the host's own servers while Podman's resolver is away. False when the host has none to offer."""
        if self._settled and self._bridge_answers is not instead:
            return self._folder is not None and bool(of_host().servers)
        self._bridge_answers, self._settled = not instead, True
        for file in self._folder.glob("*/resolv-*") if self._folder else ():
            _overwrite(file, self._resolv_conf(file.name.removeprefix("resolv-").removeprefix("any")))
        return self._folder is not None and bool(of_host().servers)

    def forget(self, app_id: int) -> None:
        """The app is deleted."""
        if self._folder is not None:
            shutil.rmtree(self._of_app(app_id), ignore_errors=True)

    def _of_app(self, app_id: int) -> Path:
        assert self._folder is not None
        return self._folder / str(app_id)

    def _resolv_name(self, bridge: str) -> str:
        return f"resolv-{bridge or 'any'}"

    def _resolv_conf(self, bridge: str) -> str:
        return resolv_conf(bridge, of_host(), bridge_answers=self._bridge_answers)


def _overwrite(path: Path, text: str) -> None:
    """Keeps the inode: containers have it mounted."""
    content = text.encode()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if os.pread(fd, len(content) + 1, 0) == content:
            return
        os.fchmod(fd, 0o644)
        os.pwrite(fd, content, 0)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)


def of_host() -> Resolvers:
    """systemd-resolved's stub listens on loopback: then the servers behind it are meant."""
    for file in (RESOLV_CONF, BEHIND_STUB):
        try:
            found = resolvers(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found.servers:
            return found
    return Resolvers()
