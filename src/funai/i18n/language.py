"""Which language the person reads, and what a message in two languages says in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CHINESE = re.compile("[\u4e00-\u9fff]")


def pick(environ: Mapping[str, str]) -> str:
    """``zh`` or ``en``: FUNAI_LANG, else the locale's (LC_ALL, LC_MESSAGES, LANG), else English."""
    for name in ("FUNAI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def message_parts(language: str, message: str | None) -> tuple[str, str]:
    """What a failure's message says in ``language``, and the lines of the program behind it.

    A job's message is a line in Chinese, then the same in English, then the program's lines; others are one line.
    Either line may name an app in the other language's letters: the English one has the smaller share of Chinese.
    """
    first, _, rest = (message or "").partition("\n")
    second, _, lines = rest.partition("\n")
    if second and 2 * _chinese_share(second) < _chinese_share(first):
        return (second if language == "en" else first), lines.strip("\n")
    return first, rest.strip("\n")


def headline(language: str, message: str | None) -> str:
    """The first of :func:`message_parts`: where there is room for a line."""
    return message_parts(language, message)[0]


def note_part(language: str, note: str) -> str:
    """What a job's note, ``Chinese / English`` on one line, says in ``language``; all of it where it is in one language.

    Either half may have `` / `` in it, or quote what an app's author wrote: the first one has the more Chinese by far.
    """
    words = note.split(" / ")
    splits = [(" / ".join(words[:n]), " / ".join(words[n:])) for n in range(1, len(words))]
    zh, en = max(splits, key=lambda s: _chinese(s[0]) - _chinese(s[1]), default=("", ""))
    if _chinese(zh) <= _chinese(en):
        return note
    return zh if language == "zh" else en


def _chinese(text: str) -> int:
    return len(_CHINESE.findall(text))


def _chinese_share(text: str) -> float:
    return _chinese(text) / len(text) if text else 0.0
