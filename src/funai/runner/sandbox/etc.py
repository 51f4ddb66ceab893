"""The ``/etc`` that a build's process sees: written anew for each entry, nothing of the host's but what is named here."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funai.runner.sandbox.wall import DOOR, DOOR_PORT, RESOLVER

CA_FILE = "/etc/funai-ca.pem"
BASES, STORE = "/bases", "/store"
READ_ALL = 0o444
_MOUNT_POINTS = ("ssl", "pki", "ca-certificates", "alternatives")
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}
_REGISTRIES = Path("/etc/containers/registries.conf")


@dataclass(frozen=True, slots=True)
class Engine:
    """How the engine inside is set up. ``runtime`` is the OCI runtime's name; ``bases`` is how many stores it stands on."""

    runtime: str
    bases: int = 0
    registries: str = 'unqualified-search-registries = ["docker.io"]\n'
    ca_file: Path | None = None


def write(folder: Path, engine: Engine) -> Path:
    """Fill the empty ``folder`` with all of it, readable by all."""
    containers = folder / "containers"
    containers.mkdir()
    for name in _MOUNT_POINTS:
        (folder / name).mkdir()
    roots = [f"{BASES}/{n}" for n in range(engine.bases)]
    files = {
        "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": "root:x:0:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "resolv.conf": f"nameserver {RESOLVER}\noptions attempts:2 timeout:6\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "ld.so.cache": "",
        "containers/policy.json": json.dumps(_POLICY),
        "containers/auth.json": "{}",
        "containers/registries.conf": engine.registries,
        "containers/storage.conf": storage_conf(roots),
        "containers/containers.conf": containers_conf(engine.runtime),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    if engine.ca_file:
        shutil.copyfile(engine.ca_file, folder / "funai-ca.pem")
    for path, folders, names in os.walk(folder):
        for name in (".", *folders):
            Path(path, name).chmod(READ_ALL | 0o311)
        for name in names:
            Path(path, name).chmod(READ_ALL | 0o200)
    return folder


ENV = {
    "HOME": "/root",
    "CONTAINERS_CONF": "/etc/containers/containers.conf",
    "TMPDIR": "/var/tmp",
    "CONTAINERS_STORAGE_CONF": "/etc/containers/storage.conf",
    "CONTAINERS_REGISTRIES_CONF": "/etc/containers/registries.conf",
    "REGISTRY_AUTH_FILE": "/etc/containers/auth.json",
    "DOCKER_CONFIG": "/etc/containers",
}
"""The engine's environment inside."""


def storage_conf(bases: Sequence[str]) -> str:
    return (
        f'[storage]\ndriver = "overlay"\ngraphroot = "{STORE}"\nrunroot = "/run/store"\n'
        f"[storage.options]\nadditionalimagestores = {json.dumps(list(bases))}\n"
    )


def containers_conf(runtime: str) -> str:
    """No control groups, profiles or proxies: those of the wall are around all of it already."""
    return (
        '[containers]\nnetns = "host"\ncgroups = "disabled"\napparmor_profile = "unconfined"\nlabel = false\n'
        "http_proxy = false\n"
        f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
    )


def machine_registries(environ: Mapping[str, str]) -> dict[str, object]:
    """The operator's own ``registries.conf``, {} when there is none that can be read."""
    try:
        return tomllib.loads(Path(environ.get("CONTAINERS_REGISTRIES_CONF") or _REGISTRIES).read_text())
    except (OSError, ValueError):
        return {}


def entries_of(conf: Mapping[str, Any], registry: str) -> list[dict[str, Any]]:
    """What the operator says of images whose names begin with this registry."""
    return [e for e in conf.get("registry", []) if _about(e, registry)]


def operators_places(conf: Mapping[str, Any], registry: str) -> list[str]:
    """``host[:port]`` of the operator's mirrors and locations that serve images of this registry's names."""
    ends: list[Any] = []
    for entry in entries_of(conf, registry):
        ends += [entry.get("location") or entry.get("prefix"), *(m.get("location") for m in entry.get("mirror", []))]
    return list(dict.fromkeys(str(end).partition("/")[0] for end in ends if end))


def registries_text(conf: Mapping[str, Any], registry: str, *, proxied: bool) -> str:
    """For a pull of an image of this registry: the operator's search list and entries. ``proxied``: it is the platform's own,
    which is had from the proxy unless the operator sends its names somewhere else."""
    search = conf.get("unqualified-search-registries") or ["docker.io"]
    entries: list[dict[str, Any]] = entries_of(conf, registry)
    if proxied and not any(e.get("mirror") or e.get("location") not in (None, registry) for e in entries):
        entries = [{"prefix": registry, "location": f"{DOOR}:{DOOR_PORT}", "insecure": True}]
    out = f"unqualified-search-registries = {json.dumps(search)}\n"
    for entry in entries:
        out += "\n[[registry]]\n" + _plain(entry)
        mirrors: list[dict[str, Any]] = entry.get("mirror") or []
        for mirror in mirrors:
            out += "[[registry.mirror]]\n" + _plain(mirror)
    return out


def _about(entry: Mapping[str, object], registry: str) -> bool:
    prefix = str(entry.get("prefix") or entry.get("location") or "")
    return prefix.partition("/")[0] == registry or (prefix.startswith("*.") and registry.endswith(prefix[1:]))


def _plain(entry: Mapping[str, object]) -> str:
    return "".join(f"{k} = {json.dumps(v)}\n" for k, v in entry.items() if isinstance(v, (str, bool)))
