"""Shell patterns that strangers write, matched in time that grows with the text and not with a power of it.

Every ``*`` but the last takes the first place where what follows it fits, since a later one leaves less for the rest: each is
an atomic group, and nothing is tried twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_PATTERN, MAX_TEXT = 256, 4_096
_ANY = ""
"""Stands in a piece for any one character."""


class TooLong(ValueError):
    """A pattern, or the text it is for, is longer than it may be."""


class Wildcards:
    """``*`` stands for any text and ``?`` for one character; a backslash makes the next character a plain one."""

    def __init__(self, pattern: str) -> None:
        """Raises TooLong."""
        _bounded(pattern, MAX_PATTERN)
        self._pieces = _pieces(pattern)

    def prefix(self, text: str, *, longest: bool) -> int | None:
        """The length of what it matches at the beginning. Raises TooLong."""
        return _length(self._pieces, text, longest=longest)

    def suffix(self, text: str, *, longest: bool) -> int | None:
        """The length of what it matches at the end. Raises TooLong."""
        return _length([piece[::-1] for piece in self._pieces[::-1]], text[::-1], longest=longest)

    def replaced(self, text: str, into: str, *, every: bool) -> str:
        """The text with the first match, or every one, replaced; each is as long as it can be. Raises TooLong."""
        _bounded(text, MAX_TEXT)
        begin, whole = (re.compile(r, re.DOTALL) for r in (_regex(self._pieces[0]), _joined(self._pieces, longest=True)))
        out, at, copied = list[str](), 0, 0
        while at <= len(text) and (first := begin.search(text, at)):
            # What does not match from the first beginning on does not from a later one, which has less text behind it.
            found = whole.match(text, first.start())
            if not found:
                break
            if found[0] or found.end() > copied or not out:  # no empty match right behind another
                out += [text[copied : found.start()], into]
                copied = found.end()
            at = found.end() + (not found[0])
            if not every:
                break
        return "".join(out) + text[copied:]


def path_pattern(glob: str) -> re.Pattern[str]:
    """For a folder's path: ``*`` stands for a part of a name, and ``**`` for one folder or several. Raises TooLong."""
    _bounded(glob, MAX_PATTERN)
    blocks: list[list[str]] = [[]]
    for part in glob.removeprefix("./").strip("/").split("/"):
        if part == "**":
            blocks.append([])
        else:
            blocks[-1].append(_joined([list(piece) for piece in part.split("*")], longest=True, star="[^/]*"))
    out = "/".join(blocks[0])
    for number, block in enumerate(blocks[1:], 2):
        here, last = "/".join(block), number == len(blocks)
        if not block:
            found = "(?:[^/]+/)*[^/]+" if last else "[^/]+"
        else:
            found = f"(?:[^/]+/)+{here}" if last else f"(?>(?:[^/]+/)+?{here}(?=/))"
        out += ("/" if out else "") + found
    return re.compile(out)


def _bounded(text: str, most: int) -> None:
    if len(text) > most:
        raise TooLong


def _pieces(pattern: str) -> list[list[str]]:
    """The characters between the stars."""
    out, escaped = [list[str]()], False
    for char in pattern:
        if not escaped and char == "\\":
            escaped = True
            continue
        if char == "*" and not escaped:
            out.append([])
        else:
            out[-1].append(_ANY if char == "?" and not escaped else char)
        escaped = False
    return out


def _length(pieces: Sequence[Sequence[str]], text: str, *, longest: bool) -> int | None:
    _bounded(text, MAX_TEXT)
    found = re.compile(_joined(pieces, longest=longest), re.DOTALL).match(text)
    return found.end() if found else None


def _regex(piece: Sequence[str]) -> str:
    return "".join("." if char == _ANY else re.escape(char) for char in piece)


def _joined(pieces: Sequence[Sequence[str]], *, longest: bool, star: str = ".*") -> str:
    begin, *middle = map(_regex, pieces)
    if not middle:
        return begin
    end = middle.pop()
    return begin + "".join(f"(?>{star}?{piece})" for piece in middle) + star + ("" if longest else "?") + end
