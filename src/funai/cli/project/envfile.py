"""``NAME=VALUE`` as people write it. Pure."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_QUOTED = re.compile(r"""\s*(?:'(?P<plain>[^']*)'|"(?P<escaped>(?:[^"\\]|\\.)*)")[ \t]*(?:\#[^\n]*)?\r?(?=\n|\Z)""", re.DOTALL)
_COMMENT = re.compile(r"\s#")
_ESCAPE = re.compile(r'\\([n"\\])')


def parse_pair(text: str) -> tuple[str, str] | None:
    """``A=b=c`` → ("A", "b=c"); None without a name or a ``=``. The API judges the name."""
    name, equals, value = text.partition("=")
    return (name.strip(), value) if equals and name.strip() else None


@dataclass(frozen=True, slots=True)
class EnvFile:
    """``lines`` is where each variable was set last; ``bad`` are the numbers of lines that are no variable."""

    values: dict[str, str]
    lines: dict[str, int]
    bad: list[int]


def decode(raw: bytes) -> str:
    """A file's text: UTF-8, or UTF-16 as Windows' PowerShell writes it. Raises UnicodeDecodeError."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16")
    return raw.decode("utf-8-sig")


def parse_env_file(text: str) -> EnvFile:
    """The file's variables.

    Much as dotenv reads it: blank lines and ``#`` lines are skipped, a leading ``export`` and a byte order mark are dropped;
    quotes around a whole value go, and it may have several lines; inside double quotes ``\\n`` is a line break; behind a value
    a `` #`` begins a comment. No variable is expanded.
    """
    values: dict[str, str] = {}
    numbers: dict[str, int] = {}
    bad: list[int] = []
    lines = text.removeprefix("\ufeff").split("\n")
    at = 0
    while at < len(lines):
        line, at = lines[at].lstrip(), at + 1
        if not line or line.startswith("#"):
            continue
        pair = parse_pair(line.removeprefix("export "))
        if pair is None:
            bad.append(at)
            continue
        name, value = pair
        numbers[name] = at
        if found := _QUOTED.match("\n".join([value, *lines[at:]])) if value.lstrip()[:1] in ("'", '"') else None:
            values[name] = _meant(found)
            at += found[0].count("\n")
        else:
            values[name] = _bare(value)
    return EnvFile(values, numbers, bad)


def _meant(quoted: re.Match[str]) -> str:
    if (plain := quoted["plain"]) is not None:
        return plain
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], quoted["escaped"])


def _bare(value: str) -> str:
    """Without its comment; and without quotes that are its first and last character all the same (``"C:\\dir\\"``)."""
    value = _COMMENT.split(value, maxsplit=1)[0].strip()
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else value
