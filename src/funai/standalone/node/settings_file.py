"""The agent's settings file of a machine that joins: made, or changed line by line. Secrets are in it, so mode 0600."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from funai.agent.settings import RuntimeSettings
from funai.base.config.settings import env_form, read_properties
from funai.base.files import write_whole
from funai.contracts.errors import ConfigError
from funai.gateway.settings import GatewaySettings

HEAD = "# Written by `funai node join`. Other lines are kept; every name: docs/configuration.md.\n"
NAME, CREDENTIAL, DEPLOY_URL = "RUNTIME_NODE_NAME", "DEPLOY_NODE_TOKEN", "DEPLOY_BASE_URL"
SECRETS = frozenset({CREDENTIAL, "RUNTIME_AGENT_TOKEN", "REGISTRY_PASSWORD"})


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where Deploy is, and where Deploy, Runners and the public reach this machine.

    ``gateway`` may be that of an edge in front, so that the port here is a value of its own.
    """

    deploy: str
    agent: str
    gateway: str
    gateway_port: int = 8000

    @property
    def ports(self) -> tuple[int, int]:
        """(agent, gateway)."""
        return port_of(self.agent), self.gateway_port


def read(file: Path) -> dict[str, str]:
    """What the file sets; nothing when it is not there. Raises ConfigError."""
    return read_properties(file) if file.exists() else {}


def settings(name: str, at: Addresses, *, engine: str, kept: dict[str, str]) -> dict[str, str]:
    """Everything but the secrets. A gateway's port that the file sets stays: a proxy in front may lead to it."""
    agent, gateway = at.ports
    return {
        NAME: name,
        DEPLOY_URL: at.deploy,
        "RUNTIME_AGENT_HOST": listen_address(urlsplit(at.agent).hostname or ""),
        "RUNTIME_AGENT_PORT": str(agent),
        "RUNTIME_NODE_AGENT_BASE_URL": at.agent,
        "RUNTIME_NODE_GATEWAY_BASE_URL": at.gateway,
        "RUNTIME_DOCKER_BIN": engine,
        "gateway.port": kept.get("gateway.port", str(gateway)),
    }


def check(values: Mapping[str, str]) -> None:
    """Raises ConfigError with every value that the agent or its gateway would refuse; the token may still be to come."""
    environ = {"RUNTIME_AGENT_TOKEN": "to-come", **{env_form(key): value for key, value in values.items()}}
    origins = {env_form(key): "the options, or the settings file" for key in values}
    problems: list[str] = []
    for settings_class in (RuntimeSettings, GatewaySettings):
        try:
            settings_class.load(environ=environ, origins=origins)
        except ConfigError as e:
            problems += e.problems
    if problems:
        raise ConfigError(problems)


def write(file: Path, values: dict[str, str]) -> None:
    """Set these keys in the file, each on its line; new ones at the end. Raises ConfigError for a value with a line break."""
    for key, value in values.items():
        if any(c in value for c in "\r\n\0"):
            raise ConfigError([f"{key}: has a line break; give one line"])
    left = dict(values)
    lines: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else HEAD.splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key}={left.pop(key)}" if key in left else line)
    lines += [f"{key}={value}" for key, value in left.items()]
    write_whole(file, "\n".join(lines) + "\n")


def prepare(file: Path) -> None:
    """Raises OSError where the file can't be written: before the token is used up."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    probe = file.with_name(f".{file.name}.join")
    write_whole(probe, "")
    probe.unlink()


def listen_address(host: str) -> str:
    """That address itself where it is this machine's, else all: a name, or an address that a router translates."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
    except OSError:
        return "0.0.0.0"
    literal = host.replace(".", "").isdigit() or ":" in host  # a name may stand for another address later
    return host if literal else "0.0.0.0"


def own_address(deploy_url: str) -> str:
    """The address with which this machine reaches Deploy; nothing is sent. Raises ConfigError."""
    parts = urlsplit(deploy_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as out:
            out.connect(where)
            found = str(out.getsockname()[0])
    except OSError as e:
        raise ConfigError(
            [f"--deploy-url {deploy_url}: {host} can't be reached ({e.strerror or e}); check name and network"]
        ) from e
    return f"[{found}]" if ":" in found else found


def port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
