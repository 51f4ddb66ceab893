"""Older configuration files: their keys, JDBC addresses, and the keys that no service reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from funai.base.config.nearest import nearest

if TYPE_CHECKING:
    from funai.base.config.settings import Settings

_JDBC = re.compile(r"jdbc:(mysql|mariadb|postgresql)://([^/?]+)/([^?]*)(?:\?(.*))?")
SPRING = ("spring.datasource.url", "spring.datasource.username", "spring.datasource.password")
OURS = re.compile(
    r"(RUNNER|RUNTIME|DEPLOY|ACR|GATEWAY|SPRING|FUNAI_APP|FUNAI_AUTH|FUNAI_API|FUNAI_ENV)_.*"
    r"|REGISTRY_(?!AUTH_FILE$).*|GIT_(SSH_KEY|KNOWN_HOSTS).*|JOB_LEASE.*"
)
"""Environment variables that are meant for the services; others of the machine are not examined."""


ALWAYS = ("FUNAI_LOG_DIR", "FUNAI_LANG")
"""Read by every service, and not by its settings."""

_LOG_FILE = "named a log file; FUNAI_LOG_DIR names a folder for one, and without it the journal has the lines"
_FRAMEWORK = "set up the framework of before; nothing here needs it"
OBSOLETE_GROUPS: Mapping[str, str] = {
    "logging.file.": _LOG_FILE,
    "logging.": "set up the log of before; FUNAI_LOG_DIR, or the journal, has ours",
    "FUNAI_LOG_MAX_": "is fixed: files of 20 MB, and three old ones are kept",
    "FUNAI_LOG_BACKUP": "is fixed: files of 20 MB, and three old ones are kept",
    **dict.fromkeys(
        (
            "spring.application.",
            "spring.datasource.driver-class-name",
            "spring.datasource.type",
            "spring.datasource.hikari.",
            "spring.datasource.druid.",
            "spring.jackson.",
            "spring.main.",
            "spring.mvc.",
            "spring.profiles.",
            "spring.servlet.",
            "spring.web.",
            "server.compression.",
            "server.error.",
            "server.servlet.",
            "server.tomcat.",
            "management.",
            "mybatis",
            "springdoc.",
        ),
        _FRAMEWORK,
    ),
}
"""Beginnings of keys of before that no service of ours has a use for, and why."""


def plain_url(url: str, username: str = "", password: str = "") -> str:
    """``jdbc:mysql://host:3306/db?…`` → ``mysql://user:password@host:3306/db``; another form stays as it is."""
    found = _JDBC.fullmatch(url.strip())
    if not found:
        return url
    kind, place, database, query = found.groups()
    asked = parse_qs(query or "")
    user = username or asked.get("user", [""])[0]
    secret = password or asked.get("password", [""])[0]
    login = f"{quote(user, safe='')}:{quote(secret, safe='')}@" if user else ""
    return f"{kind}://{login}{place}/{database}"


def zone_of(url: str) -> str:
    """The zone in which a JDBC client wrote its times; empty where its address names none."""
    found = _JDBC.fullmatch(url.strip())
    return parse_qs(found[4] or "").get("serverTimezone", [""])[0] if found else ""


def datasource(given: Mapping[str, str], key: str) -> dict[str, str]:
    """The database under ``key`` from Spring's three keys, or from a JDBC address under ``key`` itself."""
    url = given.get(key) or given.get(SPRING[0])
    if not url:
        return {}
    return {key: plain_url(url, given.get(SPRING[1], ""), given.get(SPRING[2], ""))}


class Fate(StrEnum):
    READ = "read"
    TRANSLATED = "translated"
    OBSOLETE = "obsolete"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """What the services read."""

    names: frozenset[str]
    older: Mapping[str, str]
    """Keys of before, and what each is today."""
    obsolete: Mapping[str, str]
    """Keys of before that nothing needs, and why."""

    def fate(self, key: str) -> Fate:
        if key in self.names:
            return Fate.READ
        if key in self.older:
            return Fate.TRANSLATED
        return Fate.OBSOLETE if self.why_not(key) else Fate.UNKNOWN

    def why_not(self, key: str) -> str:
        """Why nothing needs it; empty for a key that isn't known as such."""
        group = next((why for begin, why in OBSOLETE_GROUPS.items() if key.startswith(begin)), "")
        return self.obsolete.get(key, group)

    def nearest(self, key: str) -> str | None:
        """The known key that is spelled most like it."""
        return nearest(key, [*self.names, *self.older])


def known(classes: Iterable[type[Settings]]) -> Known:
    from funai.base.config.settings import env_form  # noqa: PLC0415  # settings use this module

    names: set[str] = {*ALWAYS}
    older: dict[str, str] = {}
    obsolete: dict[str, str] = {}
    for cls in classes:
        aliases = [info.alias or name for name, info in cls.model_fields.items()]
        names |= {*aliases, *map(env_form, aliases)}
        older |= {form: new for old, new in cls.older.items() for form in (old, env_form(old))}
        obsolete |= cls.obsolete
    return Known(frozenset(names), older, obsolete)


@dataclass(frozen=True, slots=True)
class Line:
    """What becomes of one key of a file."""

    key: str
    fate: Fate
    told: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    lines: Sequence[Line] = field(default_factory=list[Line])
    today: Mapping[str, str] = field(default_factory=dict[str, str])
    """The same file in today's keys."""


def examine(cls: Sequence[type[Settings]], everybody: Known, given: Mapping[str, str]) -> Examined:
    """Every key of a file: read, translated, of no use any more, or unknown with the nearest known one."""
    lines = [Line(k, fate := everybody.fate(k), _told(everybody, k, fate)) for k in given]
    today: dict[str, str] = {}
    for settings in cls:
        aliases = [info.alias or name for name, info in settings.model_fields.items()]
        translated = settings.translated(given)
        today |= {a: translated[a] for a in aliases if a in translated}
    today |= {key: given[key] for key in ALWAYS if key in given}
    return Examined(lines, today)


def unread(everybody: Known, keys: Iterable[str]) -> list[Line]:
    """Keys that no service reads."""
    lines = [Line(k, fate := everybody.fate(k), _told(everybody, k, fate)) for k in keys]
    return [line for line in lines if line.fate in (Fate.OBSOLETE, Fate.UNKNOWN)]


def _told(everybody: Known, key: str, fate: Fate) -> str:
    if fate is Fate.TRANSLATED:
        return f"is {everybody.older[key]} now, and read as that"
    if fate is Fate.OBSOLETE:
        return everybody.why_not(key)
    if fate is Fate.UNKNOWN:
        near = everybody.nearest(key)
        return "nobody reads this key" + (f"; the nearest known one is {near}" if near else "")
    return ""
