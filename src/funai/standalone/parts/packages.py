"""Which programs the machine lacks, and the command that brings them. Standard library only.

The bootstrap script imports this with whatever Python the machine has, before there is a virtualenv.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from funai.base.process.programs import find_program

POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = "#!/bin/sh\n# Written by funai's set-up while it installs packages: no service starts by itself.\nexit 101\n"
DOCKER_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Need:
    """A Debian package, and how one sees that what it brings is there: any of these programs or path patterns."""

    package: str
    programs: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def met(self) -> bool:
        if any(find_program(name) for name in self.programs):
            return True
        return any(next(Path("/").glob(pattern.lstrip("/")), None) for pattern in self.patterns)


PLATFORM = (
    Need("git", ("git",)),
    Need("openssh-client", ("ssh",)),
    Need("haproxy", ("haproxy",)),
    Need("docker-registry", ("docker-registry", "registry")),
    Need("mmdebstrap", ("mmdebstrap",)),
    Need("debian-archive-keyring", patterns=("/usr/share/keyrings/debian-archive-keyring.gpg",)),
)
PODMAN = (
    Need("podman", ("podman",)),
    Need("runc", ("runc", "crun")),
    Need("netavark", patterns=("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark")),
    Need("aardvark-dns", patterns=("/usr/lib/podman/aardvark-dns", "/usr/libexec/podman/aardvark-dns")),
    Need("iptables", ("iptables",)),
    # Podman's init process for containers: without one an app that is PID 1 ignores SIGTERM and takes 10 s to stop.
    Need("catatonit", patterns=("/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit")),
)
WALL = (
    # What the Runner's sandbox around each build is made of, whichever engine runs the apps.
    Need("bubblewrap", ("bwrap",)),
    Need("podman", ("podman",)),
    Need("runc", ("runc", "crun")),
    Need("iproute2", ("ip",)),
    Need("iptables", ("iptables",)),
)
ROOTLESS = (
    Need("uidmap", ("newuidmap",)),
    Need("slirp4netns", ("slirp4netns",)),
    Need("fuse-overlayfs", ("fuse-overlayfs",)),
)
TESTS = (
    Need("docker.io", ("dockerd",)),
    Need("busybox-static", ("busybox",)),
    Need("openssh-server", ("sshd",)),
    Need("iproute2", ("ip",)),
    Need("postgresql", patterns=("/usr/lib/postgresql/*/bin/postgres",)),
    Need("mariadb-server", ("mariadbd",)),
    Need("pebble", ("pebble",)),
    Need("wrk", ("wrk",)),
    Need("chromium", ("chromium",)),
    Need("prometheus", ("promtool",)),
    Need("nginx", ("nginx",)),
)


class NotInstalled(Exception):
    """Packages are missing and can't be installed from here. The text ends with the exact command."""


def needs(*, tests: bool, virtualenv: bool = True) -> list[Need]:
    """What this machine needs: Podman's whole engine unless Docker's daemon is there already or tests want both.

    ``virtualenv``: a checkout makes its own; an installed package is in one.
    """
    found = [*PLATFORM, *WALL]
    if tests or not (find_program("docker") and DOCKER_SOCKET.is_socket()):
        found += PODMAN
        if os.geteuid() != 0:
            found += ROOTLESS
    if tests:
        found += TESTS
    found = list(dict.fromkeys(found))
    if virtualenv and importlib.util.find_spec("ensurepip") is None:
        found.append(Need("python3-venv"))
    return found


def missing(wanted: Iterable[Need]) -> list[str]:
    """The packages of those needs that aren't met, in order."""
    return [need.package for need in wanted if not need.met()]


def install_command(packages: Sequence[str]) -> list[str]:
    """What a root shell would run. Recommended packages stay out: they bring unwanted services."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def install(packages: Sequence[str], run: Callable[[str, list[str], dict[str, str]], bool], *, interactive: bool) -> None:
    """Install them; raises NotInstalled when there is no apt, no root and no sudo, or when apt fails.

    ``run(title, argv, env)`` executes a command with progress and answers whether it succeeded. Services that come
    with the packages are neither started now nor at the next boot.
    """
    command = install_command(packages)
    by_hand = f"  {'' if os.geteuid() == 0 else 'sudo '}{' '.join(command)}"
    if find_program("apt-get") is None:
        raise NotInstalled(f"These Debian packages, or what they contain, are needed: {' '.join(packages)}")
    prefix = _become_root(interactive=interactive)
    if prefix is None:
        raise NotInstalled(f"Packages are missing, and neither root nor sudo is there. Run:\n{by_hand}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    if prefix:
        prefix = [*prefix, *(f"{key}={value}" for key, value in env.items())]
    quick = ["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-unsafe-io"]
    with _no_service_starts(prefix):
        done = _has_lists() and run(f"installing {' '.join(packages)}", [*prefix, *command, *quick], env)
        if not done:
            run("refreshing the package lists", [*prefix, "apt-get", "update", "-o", "DPkg::Lock::Timeout=300"], env)
            done = run(f"installing {' '.join(packages)}", [*prefix, *command, *quick], env)
    if not done:
        raise NotInstalled(f"apt could not install them. Run it by hand to see why:\n{by_hand}")
    _keep_off_at_boot(packages, prefix)


def ensure(wanted: Sequence[Need], run: Callable[[str, list[str], dict[str, str]], bool], *, interactive: bool) -> None:
    """Have what they bring: nothing when it is there, else as :func:`install`. Raises NotInstalled."""
    absent = missing(wanted)
    if not absent:
        return
    install(absent, run, interactive=interactive)
    still = missing(wanted)
    if still and absent != ["python3-venv"]:
        raise NotInstalled(f"installed, but what they bring can't be found: {' '.join(still)}")


def _become_root(*, interactive: bool) -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = find_program("sudo")
    if sudo is None:
        return None
    words = [sudo] if interactive else [sudo, "-n"]
    stdin = None if interactive else subprocess.DEVNULL
    allowed = subprocess.run([*words, "true"], check=False, stdin=stdin, capture_output=not interactive)
    return [*words, "env"] if allowed.returncode == 0 else None


def _has_lists() -> bool:
    return any(Path("/var/lib/apt/lists").glob("*Packages*"))


@contextmanager
def _no_service_starts(prefix: Sequence[str]) -> Iterator[None]:
    """Debian starts a service when its package is installed, unless this file forbids it.

    A file of another origin stays; ours goes again, also one that a killed run left.
    """
    ours = not POLICY.exists() or _is_ours()
    if ours:
        subprocess.run([*prefix, "tee", str(POLICY)], input=POLICY_TEXT.encode(), stdout=subprocess.DEVNULL, check=True)
        subprocess.run([*prefix, "chmod", "755", str(POLICY)], check=True)
    try:
        yield
    finally:
        if ours:
            subprocess.run([*prefix, "rm", "--force", str(POLICY)], check=True)


def _is_ours() -> bool:
    try:
        return POLICY.read_text() == POLICY_TEXT
    except OSError:
        return False


def _keep_off_at_boot(packages: Sequence[str], prefix: Sequence[str]) -> None:
    """The platform runs these programs itself, on its own ports; the packages' own services would take those."""
    systemctl = find_program("systemctl")
    units = {
        "haproxy": "haproxy.service",
        "docker-registry": "docker-registry.service",
        "docker.io": "docker.service",
        "openssh-server": "ssh.service",
        "postgresql": "postgresql.service",
        "mariadb-server": "mariadb.service",
        "nginx": "nginx.service",
    }
    wanted = [units[p] for p in packages if p in units]
    if systemctl and wanted:
        subprocess.run([*prefix, systemctl, "--quiet", "disable", *wanted], check=False, capture_output=True)
