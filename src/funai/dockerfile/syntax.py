"""A Dockerfile's text as instructions, by the grammar of BuildKit's parser.

https://docs.docker.com/reference/dockerfile/. ``escape`` is the only directive that changes the reading; ``syntax`` and
``check`` are accepted and ignored.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from funai.contracts.errors import BadInput
from funai.dockerfile.shell import SPACES, BadWord, Lexer
from funai.i18n.reasons import Words

MAX_INSTRUCTIONS = 5_000
KNOWN = frozenset(
    (
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    )
)
_WITH_JSON = frozenset(("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"))
_WITH_HEREDOCS = frozenset(("ADD", "COPY", "RUN"))
_DIRECTIVE = re.compile(r"#[ \t\v\f\r]*([a-zA-Z][a-zA-Z0-9]*)[ \t\v\f\r]*=(.+)")
_DIRECTIVES = frozenset(("escape", "syntax", "check"))
_BLANK = re.compile(r"[\t\v\f\r ]+")
_HEREDOC = re.compile(r"(\d*)<<(-?)([^<]+)", re.DOTALL)
_FLAG = re.compile(r"--[a-z][a-z-]*")


@dataclass(frozen=True, slots=True)
class Heredoc:
    """``content`` is as it stands in the file, with its line ends (LF). ``chomp``: ``<<-``, leading tabs don't count."""

    name: str
    content: str
    expand: bool
    chomp: bool

    @property
    def text(self) -> str:
        return re.sub(r"^\t+", "", self.content, flags=re.MULTILINE) if self.chomp else self.content


@dataclass(frozen=True, slots=True)
class Flag:
    """``--name=value``, without quotes and escapes; the value is None for a bare ``--name``."""

    name: str
    value: str | None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Instruction:
    """``line`` counts from 1. ``args`` is what follows the flags, on one line; ``words`` are those of its JSON form."""

    line: int
    name: str
    flags: tuple[Flag, ...]
    args: str
    words: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()
    inner: Instruction | None = None
    """What an ONBUILD holds."""

    def flag(self, name: str) -> str | None:
        return next((f.value for f in self.flags if f.name == name), None)

    @property
    def list(self) -> tuple[str, ...]:
        """Arguments that are separated by spaces, or those of the JSON form; quotes and variables as they stand."""
        return self.words if self.words is not None else tuple(filter(None, _BLANK.split(self.args)))


@dataclass(frozen=True, slots=True)
class Dockerfile:
    instructions: tuple[Instruction, ...]
    escape: str = "\\"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change. ``error``: a build would be refused or fail; else it is advice."""

    line: int
    words: Words
    error: bool = True

    @property
    def refusal(self) -> BadInput:
        return wrong(self.line, self.words.zh, self.words.en)


def wrong(line: int, zh: str, en: str) -> BadInput:
    """A refusal that names the line."""
    return BadInput(detail=Words(f"第 {line} 行：{zh}"[:500], f"line {line}: {en}"[:500]))


def parse(text: str) -> Dockerfile:
    """Raises BadInput for text that no builder takes."""
    reader = _Reader(text)
    instructions: list[Instruction] = []
    while (found := reader.instruction()) is not None:
        instructions.append(found)
        if len(instructions) > MAX_INSTRUCTIONS:
            raise BadInput(detail=Words("Dockerfile 过于复杂", "the Dockerfile is too complex"))
    return Dockerfile(tuple(instructions), reader.escape)


class _Reader:
    """Walks the lines once."""

    def __init__(self, text: str) -> None:
        lines = text.removeprefix("\ufeff").split("\n")
        self._lines = lines[:-1] if lines[-1] == "" else lines
        self._next = 0
        self.escape = "\\"
        self._continued = re.compile(r"\\[ \t]*$")
        self._directives()

    def _line(self) -> str:
        self._next += 1
        return self._lines[self._next - 1].removesuffix("\r")

    def _directives(self) -> None:
        seen: set[str] = set()
        while self._next < len(self._lines):
            m = _DIRECTIVE.fullmatch(self._lines[self._next].removesuffix("\r").lstrip(SPACES))
            if not m or m[1].lower() not in _DIRECTIVES:
                return
            self._next += 1
            name = m[1].lower()
            if name in seen:
                raise wrong(self._next, f"指令 # {name}= 只能出现一次", f"the directive # {name}= may stand only once")
            seen.add(name)
            if name == "escape":
                value = m[2].strip(" \t\v\f\r")
                if value not in ("\\", "`"):
                    raise wrong(self._next, "# escape= 只能是 \\ 或 `", "# escape= takes \\ or ` only")
                self.escape = value
                self._continued = re.compile(re.escape(self.escape) + r"[ \t]*$")

    def instruction(self) -> Instruction | None:
        while self._next < len(self._lines):
            first = self._line().lstrip(SPACES)
            start = self._next
            if first.startswith("#"):
                continue
            text = self._joined(first)
            if not text.strip(SPACES):
                if self._continued.search(first):
                    raise wrong(start, "续行之后没有指令", "a continued line with no instruction")
                continue
            found = _instruction(text, start, self.escape)
            return self._with_heredocs(found)
        return None

    def _joined(self, line: str) -> str:
        """The line and its continuation lines; comments and empty lines between them don't count."""
        pieces = [self._continued.sub("", line)]
        more = pieces[0] != line
        while more and self._next < len(self._lines):
            line = self._line()
            bare = line.lstrip(SPACES)
            if not bare or bare.startswith("#"):
                continue
            pieces.append(self._continued.sub("", line))
            more = pieces[-1] != line
        return "".join(pieces)

    def _with_heredocs(self, found: Instruction) -> Instruction:
        holder = found.inner or found
        if holder.name not in _WITH_HEREDOCS or holder.words is not None or "<<" not in holder.args:
            return found
        docs = tuple(self._body(doc, found.line) for doc in heredocs(holder.args))
        holder = replace(holder, heredocs=docs)
        return replace(found, inner=holder) if found.inner else holder

    def _body(self, doc: Heredoc, start: int) -> Heredoc:
        content: list[str] = []
        while self._next < len(self._lines):
            line = self._line()
            if (line.lstrip("\t") if doc.chomp else line) == doc.name:
                return replace(doc, content="".join(content))
            content.append(f"{line}\n")
        raise wrong(start, f"<<{doc.name} 没有结束行 {doc.name}", f"<<{doc.name} has no line {doc.name} that ends it")


def heredocs(args: str) -> list[Heredoc]:
    """What an instruction's arguments announce, without content, in their order."""
    lexer = Lexer({}, raw=True, keep_unset=True)
    try:
        lexer.expand(args)
    except BadWord:
        return []
    return [doc for word in lexer.words if (doc := heredoc(word))]


def heredoc(word: str) -> Heredoc | None:
    m = _HEREDOC.fullmatch(word)
    if not m:
        return None
    plain, quoted = Lexer({}, keep_unset=True), Lexer({}, raw=True, keep_unset=True)
    try:
        plain.expand(m[3])
        quoted.expand(m[3])
    except BadWord:
        return None
    if len(plain.words) != 1:
        return None
    return Heredoc(plain.words[0], "", expand=plain.words == quoted.words, chomp=m[2] == "-")


def _instruction(text: str, line: int, escape: str) -> Instruction:
    keyword, _, rest = partition(text.strip(SPACES))
    name = keyword.upper()
    if name not in KNOWN and "\0" in keyword:
        raise wrong(line, "文件是 UTF-16 编码：请存为 UTF-8", "the file is in UTF-16: save it as UTF-8")
    if name not in KNOWN:
        shown = keyword[:60]
        raise wrong(line, f"未知的指令 {shown}", f"unknown instruction {shown}")
    flags, args = _flags(rest, line)
    args = args.strip(SPACES)
    if name == "ONBUILD":
        return _onbuild(args, flags, line, escape)
    if not args and name != "MAINTAINER":
        raise wrong(line, f"{name} 缺少参数", f"{name} has no arguments")
    if "\0" in args:
        raise wrong(line, "含有 NUL 字符", "it has a NUL character")
    return Instruction(line, name, flags, args, _json(args, line) if name in _WITH_JSON else None)


def _onbuild(args: str, flags: tuple[Flag, ...], line: int, escape: str) -> Instruction:
    if not args or flags:
        raise wrong(line, "ONBUILD 后须是一条指令", "ONBUILD takes one instruction")
    name = partition(args)[0].upper()
    if name in ("ONBUILD", "FROM", "MAINTAINER"):
        raise wrong(line, f"ONBUILD 不能触发 {name}", f"ONBUILD may not trigger {name}")
    return Instruction(line, "ONBUILD", (), args, inner=_instruction(args, line, escape))


def partition(text: str) -> tuple[str, str, str]:
    """The first word, the blanks after it, and the rest."""
    m = _BLANK.search(text)
    return (text, "", "") if not m else (text[: m.start()], m[0], text[m.end() :])


def _flags(rest: str, line: int) -> tuple[tuple[Flag, ...], str]:
    """The words at the front that begin with ``--``, and what follows them."""
    flags: list[Flag] = []
    at = 0
    while True:
        while at < len(rest) and rest[at] in SPACES:
            at += 1
        if not rest.startswith("--", at):
            return tuple(flags), rest[at:]
        word, at = _flag_word(rest, at)
        if word == "--":
            return tuple(flags), rest[at:]
        name, equals, value = word.partition("=")
        if not _FLAG.fullmatch(name):
            raise wrong(line, f"无法识别的标志 {word[:60]}", f"{word[:60]} is no flag")
        flags.append(Flag(name[2:], value if equals else None))


def _flag_word(rest: str, at: int) -> tuple[str, int]:
    """One word from ``at`` on. Quotes and backslashes are taken off, whatever the file's escape character is."""
    word, quote = "", ""
    while at < len(rest):
        char = rest[at]
        at += 1
        if not quote and char in SPACES:
            break
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == "\\":
            word += rest[at : at + 1]
            at += 1
        else:
            word += char
    return word, at


def _json(args: str, line: int) -> tuple[str, ...] | None:
    """The words of a JSON array, None for what is none: engines take that for the other form."""
    if not args.startswith("["):
        return None
    try:
        loaded: Any = json.loads(args, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    words: list[Any] = loaded
    if not all(isinstance(word, str) for word in words):
        raise wrong(line, "JSON 数组只能包含字符串", "a JSON array holds strings only")
    # A lone surrogate is no character; Go reads it as U+FFFD.
    return tuple(str(word).encode("utf-16", "surrogatepass").decode("utf-16", "replace") for word in words)


def _refuse(constant: str) -> None:
    raise ValueError(constant)
