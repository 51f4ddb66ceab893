"""Typed settings: one class a process, each field known by a dotted name and by its environment form.

``deploy-proxy.base-url`` may stand in a ``.properties`` file, or come as ``DEPLOY_PROXY_BASE_URL``. The order, strongest
first: arguments in code, environment, file, default. A value that can't be used names its key, its source and the remedy.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from funai.contracts.errors import ConfigError

PLACEHOLDER = "CHANGE_ME"


def key(name: str, default: Any = PydanticUndefined, *, doc: str, **constraints: Any) -> Any:
    """A field known as ``name`` (dotted or an environment name). Without a default it must be set."""
    return Field(default, alias=name, description=doc, **constraints)


def env_form(name: str) -> str:
    """``deploy-proxy.base-url`` → ``DEPLOY_PROXY_BASE_URL``."""
    return name.replace(".", "_").replace("-", "_").upper()


def _usable(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value.strip() or value.strip().upper().startswith(PLACEHOLDER):
        raise ValueError(f"is empty or still a {PLACEHOLDER} placeholder")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_usable)]
"""A secret that refuses to be empty or a placeholder, and shows as ``**********``."""

CsvList = Annotated[list[str], Field()]
"""A list written as ``a,b,c`` in the environment or a file."""


METRICS_ALLOWED = "funai.metrics.allowed-ips"


def metrics_allowed() -> Any:
    """The same key in each service that serves ``/metrics``."""
    return key(METRICS_ALLOWED, [], doc="Addresses or CIDRs that may read /metrics; empty: all that reach the port")


class Settings(BaseModel):
    """Base of a process's settings. Build with :meth:`load`; tests may pass values by field name."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, extra="forbid", frozen=True)
    title: ClassVar[str] = ""
    older: ClassVar[Mapping[str, str]] = {}
    """Keys that files of before have, and the key that each is today."""
    obsolete: ClassVar[Mapping[str, str]] = {}
    """Keys that files of before have and nothing needs, and why."""

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        environ: Mapping[str, str] | None = None,
        origins: Mapping[str, str] | None = None,
        **overrides: Any,
    ) -> Self:
        """Gather from file, environment and ``overrides`` (by field name); raises ConfigError with every problem.

        ``origins`` names where a value of ``environ`` really came from, by its environment name.
        """
        environ = os.environ if environ is None else environ
        in_file = read_properties(file) if file else {}
        today = cls.translated({**in_file, **{k: environ[env_form(k)] for k in cls.older if env_form(k) in environ}})
        values: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for field, info in cls.model_fields.items():
            alias = info.alias or field
            if field in overrides:
                values[alias], sources[alias] = overrides[field], "argument"
            elif env_form(alias) in environ:
                values[alias] = _parse(info, environ[env_form(alias)])
                sources[alias] = (origins or {}).get(env_form(alias), f"environment variable {env_form(alias)}")
            elif alias in today:
                source = f"file {file}" if alias in in_file else "a key of before, in the file or the environment"
                values[alias], sources[alias] = _parse(info, today[alias]), source
        try:
            return cls.model_validate(values)
        except ValidationError as e:
            raise ConfigError([_problem(err, sources) for err in e.errors()]) from e

    @classmethod
    def translated(cls, given: Mapping[str, str]) -> dict[str, str]:
        """``given`` with what keys of before say under today's keys; what today's own say wins."""
        said = {new: given[old] for old, new in cls.older.items() if old in given}
        return {**said, **given}


def _parse(info: FieldInfo, text: str) -> Any:
    """Lists are comma-separated; everything else is pydantic's business."""
    if info.annotation is list or getattr(info.annotation, "__origin__", None) is list:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _problem(err: Any, sources: Mapping[str, str]) -> str:
    name = str(err["loc"][0]) if err["loc"] else "(settings)"
    if err["type"] == "missing":
        return f"{name}: is not set; set it in the config file or as environment variable {env_form(name)}"
    what = str(err["msg"]).removeprefix("Value error, ")
    return f"{name}: {what} (from {sources.get(name, 'its default')}); change it there, or set {env_form(name)}"


def read_properties(file: Path) -> dict[str, str]:
    """``key=value`` or ``key: value`` lines; ``#`` and ``!`` comment. Raises ConfigError when it can't be read.

    A file named ``….env`` is read as systemd and shells do: ``export`` before a name and quotes around a value don't count.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError([f"{file}: can't be read ({e}); give a readable file with --config"]) from e
    out: dict[str, str] = {}
    problems: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#!":
            continue
        cut = min((i for i in (line.find("="), line.find(":")) if i > 0), default=-1)
        if cut < 0:
            problems.append(f"{file}:{number}: not a key=value line")
            continue
        name, value = line[:cut].strip(), line[cut + 1 :].strip()
        if file.suffix == ".env":
            name, value = name.removeprefix("export ").strip(), _unquoted(value)
        out[name] = value
    if problems:
        raise ConfigError(problems)
    return out


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] not in "'\"" or value[-1] != value[0]:
        return value
    inner = value[1:-1]
    return inner if value[0] == "'" else re.sub(r"\\([\\\"$`])", r"\1", inner)


def reference(cls: type[Settings]) -> list[tuple[str, str, str, str]]:
    """Rows for the docs: (name, environment form, default, what it means)."""
    rows: list[tuple[str, str, str, str]] = []
    for field, info in cls.model_fields.items():
        name = info.alias or field
        default = _shown_default(info)
        rows.append((name, env_form(name), default, info.description or ""))
    return rows


def _shown_default(info: FieldInfo) -> str:
    """A default made at start (a host name, a folder of the user's) differs by machine, so only that is said."""
    if info.is_required():
        return "required"
    if info.default_factory is not None and info.default_factory is not list:
        return "made at start"
    value = info.get_default(call_default_factory=True)
    if isinstance(value, list):
        return ",".join(str(v) for v in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, SecretStr):
        return ""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
