"""Which language the person reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def pick(environ: Mapping[str, str]) -> str:
    """``zh`` or ``en``: FUNAI_LANG, else the locale's (LC_ALL, LC_MESSAGES, LANG), else English."""
    for name in ("FUNAI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
