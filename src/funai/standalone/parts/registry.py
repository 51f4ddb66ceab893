"""The registry of one machine: Docker's distribution on loopback, with a login, deletes enabled."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import bcrypt
import httpx
import yaml

from funai.base.files import write_whole
from funai.base.observability import log
from funai.base.process.daemon import Daemon, Program
from funai.base.process.proc import Command, run
from funai.standalone.layout import Layout, Secrets
from funai.standalone.parts import engine_conf

USER = "funai"
HOST = "127.0.0.1"
GARBAGE_EVERY_SECONDS = 24 * 3600
GARBAGE_SECONDS = 120


def config(layout: Layout, secrets: Secrets, port: int) -> str:
    """distribution's configuration file. https://distribution.github.io/distribution/about/configuration/"""
    return yaml.safe_dump(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(layout.registry / "data")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": {"enabled": True, "age": "24h", "interval": "6h", "dryrun": False}},
            },
            "http": {"addr": f"{HOST}:{port}", "secret": secrets.registry_http.get_secret_value()},
            "auth": {"htpasswd": {"realm": "funai", "path": str(layout.registry / "htpasswd")}},
        }
    )


async def collect_garbage(layout: Layout) -> None:
    """Free what retention deleted; at most once a day, and only while no registry runs (it must not write meanwhile).

    Without ``--delete-untagged``: images that live by digest alone would go with it.
    """
    marker, data = layout.registry / "garbage-collected", layout.registry / "data"
    fresh = marker.exists() and time.time() - marker.stat().st_mtime < GARBAGE_EVERY_SECONDS
    if fresh or not data.exists():
        return
    done = await run(
        Command(("docker-registry", "garbage-collect", str(layout.registry / "config.yml"))), timeout=GARBAGE_SECONDS
    )
    if done.code == 0:
        marker.touch()
    else:
        log.get("registry").warning("registry.garbage_not_collected", error=done.error_text[-300:])


def daemon(layout: Layout, secrets: Secrets, port: int) -> Daemon:
    """Write its files and describe it as a daemon."""
    text = config(layout, secrets, port)
    write_whole(layout.registry / "config.yml", text)
    _write_htpasswd(layout.registry / "htpasswd", secrets.registry_password.get_secret_value())
    argv = ("docker-registry", "serve", str(layout.registry / "config.yml"))

    async def ready() -> bool:
        return await answers(port, secrets)

    return Daemon(Program("registry", argv, {"OTEL_TRACES_EXPORTER": "none"}, text), layout.run, layout.log, ready)


async def answers(port: int, secrets: Secrets) -> bool:
    """Whether it serves, to us."""
    async with httpx.AsyncClient(trust_env=False, timeout=2) as http:
        try:
            login = (USER, secrets.registry_password.get_secret_value())
            return (await http.get(f"http://{HOST}:{port}/v2/", auth=login)).status_code == 200
        except httpx.HTTPError:
            return False


def _write_htpasswd(file: Path, password: str) -> None:
    """Kept while it still fits: bcrypt makes another text each time."""
    if file.exists():
        kept = file.read_text().strip().partition(":")[2]
        if kept and bcrypt.checkpw(password.encode(), kept.encode()):
            return
    # The password is 256 random bits, so the cheapest bcrypt loses nothing, and every request pays for it.
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    write_whole(file, f"{USER}:{hashed}\n")


def registries_conf(system: Path, port: int, mirror: str | None = None) -> str:
    """The machine's own registries.conf with our registry added as plain HTTP, and a mirror of Docker Hub."""
    conf = engine_conf.registries_conf([f"{HOST}:{port}"], system.read_text() if system.exists() else "")
    return conf + engine_conf.mirror("docker.io", mirror) if mirror else conf


def docker_auth(port: int, secrets: Secrets) -> str:
    """An auth file in Docker's format."""
    login = base64.b64encode(f"{USER}:{secrets.registry_password.get_secret_value()}".encode()).decode()
    return json.dumps({"auths": {f"{HOST}:{port}": {"auth": login}}})
