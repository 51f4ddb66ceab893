"""``NAME=VALUE`` as people write it. Pure."""

from __future__ import annotations


def parse_pair(text: str) -> tuple[str, str] | None:
    """``A=b=c`` → ("A", "b=c"); None without a name or a ``=``. The API judges the name."""
    name, equals, value = text.partition("=")
    return (name.strip(), value) if equals and name.strip() else None


def parse_env_file(text: str) -> tuple[dict[str, str], list[int]]:
    """The file's variables, and the numbers of lines that are none.

    Blank lines and ``#`` lines are skipped, a leading ``export`` is dropped; quotes around a whole value go, and inside
    double quotes ``\\n`` is a line break. No variable is expanded.
    """
    values: dict[str, str] = {}
    bad: list[int] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        pair = parse_pair(line.removeprefix("export "))
        if pair is None:
            bad.append(number)
            continue
        values[pair[0]] = _unquoted(pair[1].strip())
    return values, bad


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    return value
