"""docs/cli.md keeps up with the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from funai.cli.exits import Exit
from funai.cli.main import build, entries

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_verb_is_documented() -> None:
    told = {
        word
        for cell in re.findall(r"(?m)^\| (`.*?) \|", PAGE)
        for code in re.findall(r"`([^`]+)`", cell)
        for word in code.split()[:1]
    }
    assert {e.name for e in entries(build())} - told == set()


def test_every_verb_over_the_api_answers_in_json() -> None:
    assert "`--json` works with every verb but `up` and `demo`" in PAGE
    assert [
        name for name, command in leaves(typer.main.get_command(build())) if "as_json" not in {p.name for p in command.params}
    ] == []


def leaves(command: Any, name: str = "funai") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from leaves(inner, f"{name} {word}")


def test_every_exit_status_is_documented() -> None:
    assert {int(n) for n in re.findall(r"(?m)^\| (\d+) \|", PAGE)} == {int(e) for e in Exit}
