"""Variables and quoting in a Dockerfile's words, by the rules of BuildKit's lexer.

https://docs.docker.com/reference/dockerfile/#environment-replacement
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from funai.dockerfile.wildcards import TooLong, Wildcards

MAX_VALUE = 64 * 1024
SPACES = " \t\n\v\f\r\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""What Go calls a space, which is not what Python does."""
_SPACE = re.compile(f"[{SPACES}]")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,-]+")
_NAME = re.compile(r"\d+|[@*#?$!-]|[^\W\d]\w*")


class BadWord(ValueError):
    """A word that can't be read; the message says why, in English."""


@dataclass(slots=True)
class Lexer:
    """Expands one text. ``raw`` keeps quotes and escapes as they stand; ``quotes`` off takes quotes for plain text;
    ``keep_unset`` leaves variables that have no value as they are written.
    """

    env: Mapping[str, str]
    escape: str = "\\"
    raw: bool = False
    quotes: bool = True
    keep_unset: bool = False
    words: list[str] = field(default_factory=list[str])
    _text: str = ""
    _at: int = 0
    _word: list[str] = field(default_factory=list[str])

    def expand(self, text: str) -> str:
        """The text with variables replaced and, unless ``raw``, quotes removed. Raises BadWord.

        ``words`` then holds it split at spaces outside quotes.
        """
        self._text, self._at, self.words, self._word = text, 0, [], []
        try:
            out = self._until("")
        except RecursionError as e:
            raise BadWord("${} is nested too deeply") from e
        self._end_word()
        return out

    def _until(self, stop: str, *, raw: bool | None = None) -> str:
        before, self.raw = self.raw, self.raw if raw is None else raw
        out, size = list[str](), 0
        try:
            while self._at < len(self._text):
                char = self._text[self._at]
                if stop and char == stop:
                    self._at += 1
                    return "".join(out)
                piece, literal = self._piece(char)
                size = _grown(size, piece)
                self._collect(piece, literal=literal)
                out.append(piece)
        finally:
            self.raw = before
        if stop:
            raise BadWord(f"{stop} is missing")
        return self._bounded("".join(out))

    def _piece(self, char: str) -> tuple[str, bool]:
        """The next piece, and whether spaces in it are part of a word."""
        if char == "$":
            return self._variable(), False
        if self.quotes and char in "'\"":
            return (self._single() if char == "'" else self._double()), True
        self._at += 1
        if char != self.escape:
            return char, False
        if self._at >= len(self._text):
            return (char if self.raw else ""), True
        self._at += 1
        return (char if self.raw else "") + self._text[self._at - 1], True

    def _collect(self, piece: str, *, literal: bool) -> None:
        begin, *more = [piece] if literal else _SPACE.split(piece)
        self._word.append(begin)
        for part in more:
            self._end_word()
            self._word.append(part)

    def _end_word(self) -> None:
        if word := "".join(self._word):
            self.words.append(word)
        self._word = []

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1)
        if end < 0:
            raise BadWord("a single quote is not closed")
        inner, self._at = self._text[self._at + 1 : end], end + 1
        return f"'{inner}'" if self.raw else inner

    def _double(self) -> str:
        self._at += 1
        out, size = ['"'] if self.raw else [], 0
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return "".join([*out, '"'] if self.raw else out)
            if char == "$":
                out.append(self._variable())
                size = _grown(size, out[-1])
                continue
            self._at += 1
            if char == self.escape and self._text[self._at : self._at + 1] in ('"', "$", self.escape):
                char = (char if self.raw else "") + self._text[self._at]
                self._at += 1
            out.append(char)
        raise BadWord("a double quote is not closed")

    def _variable(self) -> str:
        start = self._at
        self._at += 1
        if self._text[self._at : self._at + 1] != "{":
            name = self._name()
            if not name:
                return "$"
            return self._value(name, self._text[start : self._at])
        self._at += 1
        name = self._name()
        if not name:
            raise BadWord("a variable's name is missing in ${}")
        return self._modified(name, start)

    def _name(self) -> str:
        m = _NAME.match(self._text, self._at)
        if not m:
            return ""
        self._at = m.end()
        return m[0]

    def _value(self, name: str, written: str) -> str:
        value = self.env.get(name)
        return (written if self.keep_unset else "") if value is None else value

    def _modified(self, name: str, start: int) -> str:
        op = self._text[self._at : self._at + 1]
        self._at += 1
        if op == "}":
            return self._value(name, self._text[start : self._at])
        colon = op == ":"
        if colon:
            op = self._text[self._at : self._at + 1]
            self._at += 1
        value = self.env.get(name)
        if op in ("-", "+", "?") and op:
            word = self._inner("}")
            there = value is not None and not (colon and not value)
            if value is None and self.keep_unset:
                return self._text[start : self._at]
            return self._chosen(op, name, value or "", word, there=there)
        if op in ("#", "%", "/") and op and not colon:
            changed = self._replaced(op, value or "")
            return self._text[start : self._at] if value is None and self.keep_unset else changed
        raise BadWord(f"${{{name}…}} has a modifier that is not known")

    @staticmethod
    def _chosen(op: str, name: str, value: str, word: str, *, there: bool) -> str:
        if op == "+":
            return word if there else ""
        if op == "?" and not there:
            raise BadWord(f"{name}: {word or 'is not set'}")
        return value if there else word

    def _replaced(self, op: str, value: str) -> str:
        double = self._text[self._at : self._at + 1] == op
        self._at += double
        pattern = self._inner("/" if op == "/" else "}", raw=True)
        try:
            found = Wildcards(pattern)
            if op == "/":
                into = self._inner("}", raw=True)
                return self._bounded(found.replaced(value, into, every=double))
            if op == "#":
                return value[found.prefix(value, longest=double) or 0 :]
            return value[: len(value) - (found.suffix(value, longest=double) or 0)]
        except TooLong as e:
            raise BadWord("a pattern, or the value it is for, is too long") from e

    def _inner(self, stop: str, *, raw: bool | None = None) -> str:
        """Text inside ``${}``, which is part of no word by itself."""
        words, word = self.words, self._word
        self.words, self._word = [], []
        try:
            return self._until(stop, raw=raw)
        finally:
            self.words, self._word = words, word

    @staticmethod
    def _bounded(text: str) -> str:
        _grown(0, text)
        return text


def _grown(size: int, piece: str) -> int:
    """The size with another piece, while that may be. Raises BadWord."""
    if size + len(piece) > MAX_VALUE:
        raise BadWord("a variable's value is too long")
    return size + len(piece)


def split_words(text: str, escape: str) -> list[str]:
    """The text split at spaces outside quotes; quotes and escapes stay in the words."""
    words, word, quote, at = list[str](), "", "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if not quote and char in SPACES:
            words += [word] if word else []
            word = ""
            continue
        word += char
        if char == escape and quote != "'":
            word += text[at : at + 1]
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return [*words, word] if word else words


def quoted(value: str, escape: str = "\\") -> str:
    """The value as a word that every builder reads as exactly this value. Raises BadWord for one with line ends."""
    if _PLAIN.fullmatch(value):
        return value
    if "\n" in value or "\r" in value:
        raise BadWord("a value with line ends")
    return '"' + "".join(escape + char if char in (escape, '"', "$") else char for char in value) + '"'


def expand(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """One word with its variables replaced and quotes removed. Raises BadWord."""
    return Lexer(env, escape).expand(text)
