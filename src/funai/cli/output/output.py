"""Where a verb's answer goes: one JSON document (or lines), or words for people. Rich is loaded only when it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from funai.i18n.cli import phrase
from funai.i18n.labels import cells as cells_of
from funai.i18n.labels import label

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """``as_json``: stdout carries JSON only, errors go to stderr as JSON too. Else stdout has the answer, stderr the asides."""

    def __init__(self, *, as_json: bool, language: str) -> None:
        self.as_json = as_json
        self.language = language

    @property
    def tty(self) -> bool:
        """Whether a person is looking at stdout."""
        return sys.stdout.isatty() and not self.as_json

    def say(self, name: str, /, **known: object) -> str:
        return phrase(name, self.language, **known)

    def document(self, value: object) -> None:
        """The one JSON document of a verb; nothing when people read."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None), flush=True)

    def event(self, value: object) -> None:
        """One line of a JSON stream; nothing when people read."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)

    def line(self, text: str = "", style: str | None = None) -> None:
        """A line of the answer for people; nothing in JSON."""
        if not self.as_json:
            self._print(text, style, sys.stdout)

    def aside(self, text: str, style: str | None = "dim") -> None:
        """A remark for people, on stderr; nothing in JSON."""
        if not self.as_json:
            self._print(text, style, sys.stderr)

    def error(self, message: str, hint: str | None = None, **facts: object) -> None:
        """On stderr: ``error: …`` and what to do next, or ``{"error": {…}}``. ``facts`` are JSON's alone, None left out."""
        if self.as_json:
            body = {"message": message, **({"hint": hint} if hint else {}), **{k: v for k, v in facts.items() if v is not None}}
            print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr, flush=True)
            return
        self._print(f"{self.say('error')}: {message}", "bold red", sys.stderr)
        if hint:
            self._print(f"{self.say('next')}: {hint}", "yellow", sys.stderr)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str = "") -> None:
        """Rows under headings; aligned plain text when the output is no terminal, so that it can be cut and grepped.

        ``empty`` is printed in place of a table without rows.
        """
        if self.as_json:
            return
        if not rows and empty:
            self.line(empty)
            return
        columns = [label(name, self.language) for name in columns]
        cells = [["-" if c is None or c == "" else str(c) for c in row] for row in rows]
        if not sys.stdout.isatty():
            print(plain_table(columns, cells), flush=True)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in cells:
            table.add_row(*[Text(c, style=style_of(c)) for c in row])
        self.console().print(table)

    def facts(self, pairs: Sequence[tuple[str, object]]) -> None:
        """``name  value`` lines; empty values are left out."""
        shown = [(label(name, self.language), str(value)) for name, value in pairs if value not in (None, "")]
        width = max((cells_of(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{name}{' ' * (width - cells_of(name))}  {value}")

    def console(self, *, stderr: bool = False) -> Console:
        from rich.console import Console

        return Console(stderr=stderr, highlight=False, markup=False, emoji=False)

    def _print(self, text: str, style: str | None, stream: Any) -> None:
        if style is None or not stream.isatty():
            print(text, file=stream, flush=True)
            return
        self.console(stderr=stream is sys.stderr).print(text, style=style, soft_wrap=True)


_STYLES = {
    "READY": "green",
    "SUCCEEDED": "green",
    "HEALTHY": "green",
    "ok": "green",
    "live": "green",
    "FAILED": "red",
    "UNHEALTHY": "red",
    "error": "red",
    "fail": "red",
    "DEPLOYING": "yellow",
    "RUNNING": "yellow",
    "PENDING": "yellow",
    "DRAINING": "yellow",
    "STALE": "yellow",
    "warning": "yellow",
    "warn": "yellow",
    "CANCELLED": "dim",
    "CREATED": "dim",
    "DISABLED": "dim",
}


def style_of(word: str) -> str:
    """The colour of a state word; none for other text."""
    return _STYLES.get(word, "")


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns two spaces apart, in terminal cells (a Chinese character takes two)."""
    from rich.cells import cell_len

    everything = [[c.upper() for c in columns], *rows]
    widths = [max(cell_len(row[i]) for row in everything) for i in range(len(columns))]
    lines = ["  ".join(cell + " " * (w - cell_len(cell)) for cell, w in zip(row, widths, strict=True)) for row in everything]
    return "\n".join(line.rstrip() for line in lines)


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
