"""Throws the grammar's Dockerfiles at a real Runner and looks at the canaries after each.

``python -m tests.fuzz --seconds 600 [--seed N] [--checked]``. Without ``--checked`` every other Dockerfile reaches the engine
unread, so that the wall is tried and not the check before it.

Of the faults that led to the wall, other apps' images sing without it on any engine. Folders that a link and ``WORKDIR`` make
on the host could not be shown on the code before the wall with Debian 12's own packages (podman 4.3.1+ds1-8+deb12u1+b3,
buildah 1.28.2+ds1-3+deb12u1+b3): their canary is for the engines that make them.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from funai.dockerfile.emit import Emitted
from funai.dockerfile.stages import Plan
from funai.runner.build import phase
from funai.runner.build.reading import BaseFacts, Reading
from tests.e2e.runner.world import World
from tests.fuzz.grammar import BASE, Grammar, Made, Targets
from tests.parts.waiting import eventually

ATTACKERS = 4
JOB_SECONDS = 180.0
NEIGHBOUR_PORT = 45_671
UNREAD = "# unread\n"
TALKING = "the neighbour talks"
TALK = f"""
require('net').createServer(s => s.on('error', () => 0).end('SECRET')).listen({NEIGHBOUR_PORT}, '0.0.0.0');
const out = require('dgram').createSocket('udp4'), os = require('os');
out.on('error', () => 0).bind(0, () => {{
  out.setBroadcast(true);
  setInterval(() => {{
    for (const i of Object.values(os.networkInterfaces()).flat()) if (i.family == 'IPv4' && !i.internal)
      for (let h = 1; h < 31; h++) out.send('SECRET', {NEIGHBOUR_PORT}, i.address.replace(/[0-9]+$/, h), () => 0);
  }}, 300);
  console.log('{TALKING}');
}});
"""


@dataclass
class Report:
    """What was tried, and what a canary sang of."""

    tried: int = 0
    built: int = 0
    refused: int = 0
    findings: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


@dataclass
class Canaries:
    """Secrets that no log may show, a folder that stays as it is, and a port that nobody asks."""

    secrets: dict[str, str]
    folder: Path
    asked: list[str]

    def sang(self, log: str) -> list[str]:
        said = [kind for kind, secret in self.secrets.items() if secret in log]
        if new := [p.name for p in self.folder.iterdir() if p.name != "canary"]:
            said.append(f"folder: {new}")
            for path in self.folder.iterdir():
                if path.name != "canary":
                    path.rmdir() if path.is_dir() else path.unlink()
        if self.asked:
            said.append(f"port: {self.asked[0]!r}")
            self.asked.clear()
        return said


async def fuzz(world: World, folder: Path, rng: Random, *, seconds: float, most: int = 1_000_000) -> Report:
    """Until ``seconds`` are over or ``most`` were tried. ``folder`` is an empty one that everybody may write to."""
    report = Report()
    with listening() as (port, asked):
        token = {kind: secrets.token_hex(12) for kind in ("image", "folder", "neighbour")}
        (folder / "canary").write_text(token["folder"])
        folder.chmod(0o777)
        canaries = Canaries({**token, "port": "canary-of-the-port"}, folder, asked)
        names = await _victim(world, token["image"])
        targets = Targets(names, "/secret", str(folder), _addresses(), port, NEIGHBOUR_PORT)
        grammar, end = Grammar(rng, targets), time.monotonic() + seconds
        async with _neighbour(world, token["neighbour"], seconds):
            while time.monotonic() < end and report.tried < most:
                await _round(world, grammar, canaries, report, rng)
    return report


async def _round(world: World, grammar: Grammar, canaries: Canaries, report: Report, rng: Random) -> None:
    made = grammar.make()
    app = 100 + rng.randrange(ATTACKERS)
    unread = rng.random() < 0.5
    bare = _commit(world, f"attacker{app}", made, unread=unread)
    job = world.build(bare, userId=66, appId=app)
    ended: dict[str, Any] = await world.ended(job, JOB_SECONDS)
    report.tried += 1
    report.built += ended["status"] == "SUCCEEDED"
    failure: dict[str, Any] = ended.get("failure") or {}
    report.refused += failure.get("code") == "CONTRACT_INVALID"
    for kind in canaries.sang(world.deploy.log(job) + str(ended.get("errorMessage"))):
        report.findings.append((kind, made.text))


def _commit(world: World, name: str, made: Made, *, unread: bool) -> Path:
    bare, work = world.root / f"{name}.git", world.root / f"{name}-work"
    if not bare.exists():
        world.repo(name, {"b": "b\n"})
        world.push(bare, {"b": "b\n"})
    for link, target in {"link": "", "up": "", **made.links}.items():
        (work / link).unlink(missing_ok=True)
        if target:
            (work / link).symlink_to(target)
    world.push(bare, {**made.files, "Dockerfile": made.text + (UNREAD if unread else "")})
    return bare


async def _victim(world: World, secret: str) -> tuple[str, ...]:
    """Another user's app; answers the names of its image."""
    bare = world.repo("victim", {"Dockerfile": f"FROM {BASE}\nCOPY secret /secret\n", "secret": secret})
    assert (await world.ended(world.build(bare, appId=71), JOB_SECONDS))["status"] == "SUCCEEDED"
    return ("u1-app71", "t/u1-app71", f"{world.registry.address}/t/u1-app71")


@asynccontextmanager
async def _neighbour(world: World, secret: str, seconds: float) -> AsyncIterator[None]:
    """Another user's step that serves its secret on all addresses of its network, and sends it to all its neighbours."""
    files = {"Dockerfile": f'FROM {BASE}\nCOPY talk.js /\nRUN ["timeout","{int(seconds) + 30}","node","/talk.js"]\n'}
    job = world.build(world.repo("neighbour", {**files, "talk.js": TALK.replace("SECRET", secret)}), appId=72)
    try:
        await eventually(lambda: TALKING in world.deploy.log(job), seconds=JOB_SECONDS, what="the neighbour's build talks")
        yield
    finally:
        world.deploy.status[job] = "CANCELLED"


class Unread(Reading):
    """A Dockerfile with the mark reaches the engine as it stands, above the base image alone; others are read as always."""

    def plan(self, bases: Mapping[str, BaseFacts] | None = None) -> Plan:
        return self._plain.plan(bases) if UNREAD in self.text else super().plan(bases)

    def written(self, bases: Mapping[str, BaseFacts], context: Path) -> tuple[Plan, Emitted]:
        if UNREAD not in self.text:
            return super().written(bases, context)
        plan, emitted = self._plain.written(bases, context)
        return plan, replace(emitted, text=self.text)

    @property
    def _plain(self) -> Reading:
        return Reading(f"FROM {BASE}\n", self.allowed, self.args, self.platform)


def leave_unread() -> None:
    """Jobs of this process read by :class:`Unread` from now on."""
    phase.Reading = Unread  # type: ignore[misc]


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A server of the host's on all its addresses; yields its port and what it was asked for the canary."""
    asked = list[str]()
    with socket.create_server(("0.0.0.0", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    sock, _ = server.accept()
                    with sock:
                        sock.settimeout(2)
                        data = sock.recv(4096)
                        asked.append(data[:80].decode("latin-1"))
                        sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 18\r\n\r\ncanary-of-the-port")
                except TimeoutError:
                    continue
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1]), asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def _addresses() -> tuple[str, ...]:
    """Of this host, as a build may try them."""
    found = {"127.0.0.1", "localhost"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("198.51.100.1", 9))
        found.add(str(sock.getsockname()[0]))
    return tuple(sorted(found))
