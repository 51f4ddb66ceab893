"""Log bytes come in arbitrary pieces; people read lines. Pure."""

from __future__ import annotations


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
    """What a terminal would end up showing of a progress bar's redraws."""
    return line.rstrip("\r").rpartition("\r")[2]
