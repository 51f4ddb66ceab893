"""Gathers ``funai.toml``, the environment and the flags into one configuration that knows where each value came from."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from funai.agent.settings import RuntimeSettings
from funai.api.settings import ApiSettings
from funai.base.config.nearest import nearest
from funai.base.config.settings import Settings, env_form
from funai.contracts.errors import ConfigError
from funai.deploy.settings import DeploySettings
from funai.gateway.settings import GatewaySettings
from funai.git.settings import GitSettings
from funai.runner.settings import RunnerSettings
from funai.standalone.configuration.model import Config, env_of, sections
from funai.standalone.given import Given

FILE = "funai.toml"
SERVICES: tuple[type[Settings], ...] = (
    ApiSettings,
    DeploySettings,
    RunnerSettings,
    RuntimeSettings,
    GatewaySettings,
    GitSettings,
)
OTHERS = (
    "FUNAI_SERVER",
    "FUNAI_API_KEY",
    "FUNAI_LANG",
    "FUNAI_ENGINE",
    "FUNAI_PULL_SECONDS",
    "ALL_PROXY",
    "RUNNER_SANDBOX",
)
"""Variables that other parts of the program read."""
_OURS = ("FUNAI_", "RUNNER_", "RUNTIME_", "DEPLOY_", "GATEWAY_")
_VERY_NEAR = 0.88
Flags = Mapping[tuple[str, str], Any]
"""(section, entry) → the value that a flag gave."""


@dataclass(frozen=True)
class Loaded:
    """``sources`` maps (section, entry) to where a value that isn't the default came from."""

    config: Config
    sources: Mapping[tuple[str, str], str]
    given: Given
    file: Path | None
    """None: there is none."""


def load(file: Path | None, flags: Flags | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Flags win over the environment, which wins over the file. Raises ConfigError with a line for every problem."""
    environ = os.environ if environ is None else environ
    read = _read(file) if file is not None else None
    data = read or {}
    named = str(file)
    sources = {(name, key): named for name in sections() for key in _entries(data, name)}
    for name, kind in sections().items():
        given = _entries(data, name)
        if isinstance(data.get(name), dict):
            data[name] = given
        for key, info in kind.model_fields.items():
            if env_of(info) in environ and environ[env_of(info)] != "":
                given[key], sources[name, key] = environ[env_of(info)], f"environment variable {env_of(info)}"
            if flags and (name, key) in flags:
                given[key], sources[name, key] = flags[name, key], f"--{_flag(name, key)}"
        if given:
            data[name] = given
    try:
        config = Config(**data)
    except ValidationError as e:
        raise ConfigError([_problem(err, sources, named) for err in e.errors()]) from e
    return Loaded(config, sources, _given(config, sources, environ, named), file if read is not None else None)


def _read(file: Path) -> dict[str, Any] | None:
    """None: there is no such file, nor a folder that it could be in. A folder in its place is a ConfigError."""
    try:
        with file.open("rb") as source:
            return tomllib.load(source)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError([f"{file}: can't be read ({e}); mend it there, or name another file with --config"]) from e


def _entries(data: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Empty for what is no table, which the model refuses. An empty text counts as not set."""
    found: Any = data.get(section)
    return {str(k): v for k, v in found.items() if v != ""} if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType, reportUnknownArgumentType]


_FLAGS = {"certificate": "tls-certificate", "key": "tls-key", "port": "https-port", "api_port": "api-https-port"}
"""Flags of the section ``https`` that have other names than its entries."""


def _flag(section: str, key: str) -> str:
    if section == "https" and key in _FLAGS:
        return _FLAGS[key]
    return f"{key}-port" if section == "ports" else key.replace("_", "-")


def _problem(err: Any, sources: Mapping[tuple[str, str], str], file: str) -> str:
    place = [str(p) for p in err["loc"]]
    name = ".".join(place[:2])
    if err["type"] == "extra_forbidden":
        known = list(sections()[place[0]].model_fields) if len(place) > 1 else [*sections(), "settings"]
        return f"{file}: {name} is nothing that can be set{_nearest(place[-1], known)}"
    source = sources.get((place[0], place[1] if len(place) > 1 else ""), file)
    return f"{name}: {str(err['msg']).removeprefix('Value error, ')} (from {source}); change it there"


def _given(config: Config, sources: Mapping[tuple[str, str], str], environ: Mapping[str, str], file: str) -> Given:
    """What the services read: the file's entries under their environment names, then the environment itself."""
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    known = service_names()
    for name, value in config.settings.items():
        env = env_form(name)
        if env not in known:
            problems.append(f"{file}: settings.{name} is no setting of any service{_nearest(env, known)}")
        values[env] = (
            ",".join(value) if isinstance(value, list) else str(value).lower() if value in (True, False) else str(value)
        )
        origins[env] = file
    if problems:
        raise ConfigError(problems)
    for name in known & set(environ):
        values[name] = environ[name]
        origins.pop(name, None)
    entries: dict[str, str] = {}
    for section, kind in sections().items():
        for key, info in kind.model_fields.items():
            value = getattr(getattr(config, section), key)
            if (section, key) in sources and value is not None:
                entries[env_of(info)] = str(value).lower() if isinstance(value, bool) else str(value)
                origins[env_of(info)] = sources[section, key]
    return Given({**values, **entries}, origins)


def service_names() -> set[str]:
    """The environment names of all services' settings."""
    return {env_form(info.alias or name) for kind in SERVICES for name, info in kind.model_fields.items()}


def own_names() -> set[str]:
    """The environment names of the entries of ``funai.toml``."""
    return {env_of(info) for kind in sections().values() for info in kind.model_fields.values()}


def unread(environ: Mapping[str, str]) -> list[str]:
    """A sentence for every variable that looks meant for the platform and that no program reads."""
    known = service_names() | own_names() | set(OTHERS)
    out: list[str] = []
    for name in sorted(environ):
        if name in known or name.upper() != name:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_VERY_NEAR)
        if name.startswith(_OURS) or near:
            out.append(f"environment variable {name}: nothing reads it{_nearest(name, known)}")
    return out


def ignored(environ: Mapping[str, str], fixed: Mapping[str, str]) -> list[str]:
    """A sentence for every variable whose setting ``funai up`` decides itself. ``fixed``: environment name → its service."""
    mine = own_names()
    return [
        f"environment variable {name}: funai up sets this itself for its {fixed[name]}, so it is not used"
        for name in sorted(environ)
        if name in fixed and name not in mine
    ]


def _nearest(name: str, known: set[str] | list[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""
