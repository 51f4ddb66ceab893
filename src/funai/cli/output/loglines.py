"""Log bytes come in arbitrary pieces; people read lines. Pure."""

from __future__ import annotations

import re

_STEERING = re.compile(
    r"\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)|[\x90\x98\x9d-\x9f].*?(?:\x07|\x9c|$)"  # strings
    r"|\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b(?!\[)[ -/]*[0-~]"  # sequences
)
"""Titles, clipboards and other strings for the terminal (OSC, DCS, …), and every escape sequence that is no colour."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-?]*m)")


class Lines:
    """Feed pieces of text; it answers the lines they complete. A bare carriage return restarts a line, as terminals do."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> list[str]:
        *whole, self._held = (self._held + piece).split("\n")
        return [_shown(line) for line in whole]

    def rest(self) -> list[str]:
        """The last line, when it had no end."""
        held, self._held = self._held, ""
        return [_shown(held)] if held else []


def _shown(line: str) -> str:
    """What a terminal would end up showing of a progress bar's redraws; colours stay, what else would steer a terminal goes."""
    return _CONTROLS.sub("", _STEERING.sub("", line.rstrip("\r").rpartition("\r")[2]))
