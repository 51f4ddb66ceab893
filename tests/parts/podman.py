"""A real Podman with storage, networks and locks of its own, and its API service.

``choice`` is what production code takes (an EngineChoice); ``cli(...)`` runs the program for a test's own needs;
``service`` is the API's process, which a test may stop, kill and start. Whatever runs in this storage was started by
this session, so ``clear()`` may remove all of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from funai.base.process.proc import base_environment
from funai.standalone.parts import base_image, engine_conf
from funai.standalone.parts.engine import EngineChoice
from tests.parts.daemon import Daemon
from tests.parts.slots import Slot, release_mount
from tests.parts.waiting import unix_answers


class Podman:
    """See the module. ``machine`` is the engine of the machine, whose storage gives the base image. ``within`` begins the
    command line of everything that runs: the words that enter another network namespace."""

    def __init__(self, slot: Slot, workspace: Path, machine: EngineChoice, *, within: Sequence[str] = ()) -> None:
        self.slot, self.workspace, self.within = slot, workspace, list(within)
        self._machine = machine
        self.socket = workspace / "podman.sock"
        self.registries = workspace / "registries.conf"
        environment = {
            **machine.environment,
            "CONTAINERS_CONF": str(self._write_conf()),
            "CONTAINERS_STORAGE_CONF": str(self._write_storage()),
            "CONTAINERS_REGISTRIES_CONF": str(self.registries),
        }
        self.allow_insecure([])
        self.choice = machine.model_copy(update={"environment": environment})
        self.service = Daemon(
            "podman-service",
            [*self.within, machine.binary, "system", "service", "--time=0", f"unix://{self.socket}"],
            log=workspace / "podman-service.log",
            ready=lambda: unix_answers(self.socket),
            env={**base_environment(), **environment},
        )

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a command on this storage."""
        return {**base_environment(), **self.choice.environment}

    def cli(self, *words: str | Path, check: bool = True, seconds: float = 120) -> str:
        """Run ``podman words…``; answers its output, stripped. With ``check`` a failure raises with what it said."""
        argv = [*self.within, self.choice.binary, *map(str, words)]
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=seconds, check=False)
        assert not check or done.returncode == 0, f"{argv} ended with {done.returncode}: {done.stderr.strip()}"
        return done.stdout.strip()

    def allow_insecure(self, registries: Sequence[str]) -> None:
        """Plain HTTP to these ``host:port`` (the only ones): read anew by every command, by the service at its start."""
        self.registries.write_text(engine_conf.registries_conf(registries))

    def build_web(self, tag: str, greeting: str) -> None:
        """A prebuilt image that listens on port 80 and answers ``greeting``."""
        self.cli("build", "--quiet", "--build-arg", f"GREETING={greeting}", "--tag", tag, base_image.WEB_CONTEXT)

    def clear(self) -> None:
        """Remove every container and every network but the default one."""
        self.cli("rm", "--all", "--force", "--time", "0", "--volumes")
        self.cli("network", "prune", "--force")

    def prepare(self) -> None:
        """Clean what an earlier session left, and have the base image and no other."""
        self.clear()
        images = json.loads(self.cli("images", "--format", "json") or "[]")
        strays = [image["Id"] for image in images if base_image.IMAGE not in (image.get("Names") or [])]
        if strays:
            self.cli("rmi", "--force", *dict.fromkeys(strays))
        if not any(base_image.IMAGE in (image.get("Names") or []) for image in images):
            copy_image(self._machine, base_image.IMAGE, [self.choice.binary, "load", "--quiet"], self.env)

    def destroy(self) -> None:
        """Stop the service and remove what runs; the storage stays for the next session."""
        self.service.kill()
        self.clear()
        release_mount(self.slot.folder / "root" / "overlay")

    def _write_conf(self) -> Path:
        named = self._machine.environment.get("CONTAINERS_CONF") or os.environ.get("CONTAINERS_CONF")
        conf = tomllib.loads(Path(named).read_text()) if named else {}
        number, networks = self.slot.number, self.slot.folder / "networks"
        conf["engine"] = {
            **conf.get("engine", {}),
            "lock_type": "file",
            "tmp_dir": str(self.slot.folder / "tmp"),
            "events_logger": "file",
        }
        conf["network"] = {
            **conf.get("network", {}),
            "network_config_dir": str(networks),
            "default_network": f"funai-t{number}",
            "default_subnet": f"10.{150 + number}.0.0/24",
        }
        networks.mkdir(exist_ok=True)
        (networks / f"funai-t{number}.json").write_text(json.dumps(_default_network(number)))
        path = self.workspace / "containers.conf"
        pools = f'default_subnet_pools = [{{"base" = "10.{150 + number}.128.0/17", "size" = 24}}]\n'
        path.write_text(engine_conf.render({k: v for k, v in conf.items() if k != "network"}) + "\n")
        with path.open("a") as out:
            out.write(engine_conf.render({"network": conf["network"]}) + pools)
        return path

    def _write_storage(self) -> Path:
        path = self.workspace / "storage.conf"
        # Podman refuses a runroot of more than 50 characters, and only when it restarts a container: not below HOME.
        run = f"/tmp/funai-run-{sha256(str(self.slot.folder).encode()).hexdigest()[:12]}"
        places = {"driver": "overlay", "graphroot": str(self.slot.folder / "root"), "runroot": run}
        path.write_text(engine_conf.render({"storage": places}))
        return path


def copy_image(machine: EngineChoice, image: str, load: Sequence[str], env: dict[str, str]) -> None:
    """Pipe an image from the machine's own storage into another engine's ``load``."""
    source_env = {**base_environment(), **machine.environment}
    with subprocess.Popen([machine.binary, "save", image], env=source_env, stdout=subprocess.PIPE) as save:
        subprocess.run(list(load), env=env, stdin=save.stdout, stdout=subprocess.DEVNULL, check=True, timeout=180)
        assert save.stdout is not None
        save.stdout.close()
    assert save.returncode == 0, f"{image} is not in the machine's storage: run `make setup`"


def _default_network(number: int) -> dict[str, object]:
    """Bridges and firewall chains are named by the network and shared on the host: each slot has its own."""
    name = f"funai-t{number}"
    return {
        "name": name,
        "id": sha256(name.encode()).hexdigest(),
        "driver": "bridge",
        "network_interface": f"funait{number}",
        "created": "2025-01-01T00:00:00Z",
        "subnets": [{"subnet": f"10.{150 + number}.0.0/24", "gateway": f"10.{150 + number}.0.1"}],
        "ipv6_enabled": False,
        "internal": False,
        "dns_enabled": False,
        "ipam_options": {"driver": "host-local"},
    }
