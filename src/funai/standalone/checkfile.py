"""``funai config check FILE``: what becomes of every key of a service's file, what lacks, and the file in today's keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from funai.base.config import compat
from funai.base.config.settings import Settings, env_form, read_properties
from funai.cli.session import Refused, Session
from funai.cli.verbs.operator import serve
from funai.contracts.errors import ConfigError

_MARKS = {
    compat.Fate.READ: ("✓", "green"),
    compat.Fate.TRANSLATED: ("→", "cyan"),
    compat.Fate.OBSOLETE: ("-", "yellow"),
    compat.Fate.UNKNOWN: ("!", "yellow"),
}


def check(session: Session, file: Path, service: str) -> None:
    """Raises ConfigError with every problem that would keep the service from starting, after all else is said."""
    wanted = next((s for s in serve.SERVICES if s.name == service), None)
    if wanted is None:
        raise Refused(" | ".join(s.name for s in serve.SERVICES))
    everybody = compat.known(serve.settings_class(name) for s in serve.SERVICES for name in s.settings)
    classes = [serve.settings_class(name) for name in wanted.settings]
    given = read_properties(file)
    found = compat.examine(classes, everybody, given)
    problems = _problems(classes, found.today)
    lines = [{"key": line.key, "fate": line.fate.value, "told": line.told or None} for line in found.lines]
    session.out.document({"ok": not problems, "keys": lines, "problems": problems, "today": dict(found.today)})
    for line in found.lines:
        mark, colour = _MARKS[line.fate]
        session.out.line(f"{mark} {line.key} {line.told}".rstrip(), colour)
    session.out.line("")
    session.out.line(f"# {file.name}, funai serve {service}")
    for key, value in found.today.items():
        session.out.line(f"{key}={value}")
    if problems:
        raise ConfigError(problems)


def _problems(classes: Sequence[type[Settings]], today: Mapping[str, str]) -> list[str]:
    """What the service itself would say of these values, without this process's own environment."""
    problems: list[str] = []
    for cls in classes:
        try:
            cls.load(environ={env_form(key): value for key, value in today.items()})
        except ConfigError as e:
            problems += e.problems
    return problems
