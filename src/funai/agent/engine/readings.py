"""What Docker and Podman say about images, networks and containers, as values. Pure: JSON of ``inspect`` and lists in."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from funai.agent.engine.contract import Container, Image, Neighbour, Network, Phase, StoredImage

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KERNELS = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def _inner(attrs: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object below these names; empty when the engine left it out or said null."""
    for name in names:
        attrs = attrs.get(name) or {}
    return attrs


def image(attrs: dict[str, Any]) -> Image:
    known: list[str] = attrs.get("RepoDigests") or []
    config: dict[str, Any] = _inner(attrs, "Config")
    paths = [str(entry).removeprefix("PATH=") for entry in config.get("Env") or () if str(entry).startswith("PATH=")]
    return Image(
        id=str(attrs["Id"]),
        digests=tuple(dict.fromkeys(d.partition("@")[2] for d in known)),
        platform=platform(str(attrs.get("Os") or "linux"), str(attrs.get("Architecture") or "")),
        command=tuple(str(word) for word in (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))),
        path=tuple(filter(None, (paths or [DEFAULT_PATH])[-1].split(":"))),
        workdir=str(config.get("WorkingDir") or "/"),
    )


def platform(os: str, architecture: str) -> str:
    """``linux/amd64``, also where the kernel's word for the architecture is given; empty when it is unknown."""
    return f"{os}/{_KERNELS.get(architecture, architecture)}" if architecture else ""


def bare(id: str) -> str:
    return id.removeprefix("sha256:")


def stored(row: dict[str, Any]) -> StoredImage | None:
    """A row of the list of images; None for one without any name."""
    names = tuple(str(n) for n in row.get("RepoTags") or () if "<none>" not in n)
    digests = tuple(str(n) for n in row.get("RepoDigests") or () if "<none>" not in n)
    created = row.get("Created")
    born = created if isinstance(created, int) else 0
    return StoredImage(bare(str(row["Id"])), names, digests, born) if names or digests else None


def network(attrs: dict[str, Any]) -> Network:
    pools: list[dict[str, Any]] = _inner(attrs, "IPAM").get("Config") or []
    v4 = next((str(p["Subnet"]) for p in pools if "." in str(p.get("Subnet", ""))), "")
    bridge = attrs.get("Driver", "bridge") == "bridge"
    named = _inner(attrs, "Options").get("com.docker.network.bridge.name") or f"br-{str(attrs.get('Id', ''))[:12]}"
    return Network(name=str(attrs["Name"]), subnet=v4, interface=str(named) if bridge and attrs.get("Id") else "")


def podman_network(attrs: dict[str, Any]) -> Network:
    pools: list[dict[str, Any]] = attrs.get("subnets") or []
    v4 = next((str(p["subnet"]) for p in pools if "." in str(p.get("subnet", ""))), "")
    bridge = attrs.get("driver", "bridge") == "bridge"
    return Network(name=str(attrs["name"]), subnet=v4, interface=str(attrs.get("network_interface") or "") if bridge else "")


def neighbour(row: dict[str, Any], network: str) -> Neighbour | None:
    """A row of the list of containers; None for one without an address in the network."""
    address = str(_inner(row, "NetworkSettings", "Networks", network).get("IPAddress") or "")
    names: list[str] = row.get("Names") or [""]
    return Neighbour(str(names[0]).lstrip("/"), row.get("Labels") or {}, address) if address else None


_PHASES = {
    "created": Phase.CREATED,
    "configured": Phase.CREATED,
    "initialized": Phase.CREATED,
    "running": Phase.RUNNING,
    "paused": Phase.RUNNING,
    "restarting": Phase.RESTARTING,
    "stopping": Phase.RUNNING,
}


def container(attrs: dict[str, Any]) -> Container:
    state: dict[str, Any] = attrs["State"]
    phase = _PHASES.get(str(state.get("Status", "")).lower(), Phase.EXITED)
    networks: dict[str, Any] = _inner(attrs, "NetworkSettings", "Networks")
    address = next((str(n["IPAddress"]) for n in networks.values() if n and n.get("IPAddress")), "")
    running = phase is Phase.RUNNING
    config: dict[str, Any] = _inner(attrs, "Config")
    return Container(
        id=str(attrs["Id"]),
        name=str(attrs["Name"]).removeprefix("/"),
        labels=dict(config.get("Labels") or {}),
        image=str(config.get("Image") or attrs.get("Image") or ""),
        phase=phase,
        exit_code=int(state.get("ExitCode") or 0) if phase in (Phase.EXITED, Phase.RESTARTING) else None,
        oom_killed=bool(state.get("OOMKilled")),
        restarts=int(attrs.get("RestartCount") or 0),
        started_at=_moment(state, "StartedAt"),
        finished_at=_moment(state, "FinishedAt"),
        address=address if running else "",
        published=_published(attrs) if running else 0,
        pid=int(state.get("Pid") or 0) if running else 0,
        exposed=_exposed(config),
        image_id=str(attrs.get("Image") or ""),
    )


def _moment(state: dict[str, Any], name: str) -> str:
    """The engine's own text; empty for Go's zero time, which says "never"."""
    said = str(state.get(name) or "")
    return "" if said.startswith("0001-01-01") else said


def _exposed(config: dict[str, Any]) -> tuple[int, ...]:
    ports = [str(port).partition("/") for port in _inner(config, "ExposedPorts")]
    return tuple(sorted(int(number) for number, _, protocol in ports if protocol in ("", "tcp") and number.isdecimal()))


def _published(attrs: dict[str, Any]) -> int:
    ports: dict[str, list[dict[str, Any]] | None] = _inner(attrs, "NetworkSettings", "Ports")
    for bindings in ports.values():
        for binding in bindings or []:
            if binding.get("HostPort"):
                return int(binding["HostPort"])
    return 0


def log_file(attrs: dict[str, Any]) -> Path | None:
    """Where Podman keeps a container's output in conmon's own format; None where it goes elsewhere."""
    path = str(attrs.get("LogPath") or "")
    # Podman's Docker-like API calls its own format by Docker's name.
    kind = _inner(attrs, "HostConfig", "LogConfig").get("Type")
    return Path(path) if path and kind in ("k8s-file", "json-file") else None


def mac_of(address: str) -> str:
    """A locally administered MAC made from an IPv4 address, as Docker makes its own."""
    return ":".join(f"{part:02x}" for part in (0x02, 0x66, *IPv4Address(address).packed))
