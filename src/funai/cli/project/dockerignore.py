"""Which files a ``.dockerignore`` leaves out of the build context. Pure.

The rules are those of Docker's documentation ("Dockerfile reference", section ".dockerignore file"): a line is a path
pattern from the context's root, ``*`` and ``?`` stay inside one path part, ``**`` crosses them, ``!`` brings back, the last
line that matches decides, and a pattern that matches a folder covers what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable


def ignorer(text: str) -> Callable[[str], bool]:
    """A function that answers whether a path (relative, ``/`` between parts) is left out."""
    rules: list[tuple[re.Pattern[str], bool]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        keep = line.startswith("!")
        pattern = line.removeprefix("!").strip().strip("/").removeprefix("./")
        if pattern and pattern != ".":
            rules.append((_compiled(pattern), keep))

    def ignored(path: str) -> bool:
        out = False
        for pattern, keep in rules:
            if pattern.fullmatch(path):
                out = not keep
        return out

    return ignored


def _compiled(pattern: str) -> re.Pattern[str]:
    out = ""
    i = 0
    while i < len(pattern):
        if pattern.startswith("**/", i):
            out, i = out + "(?:[^/]+/)*", i + 3
        elif pattern.startswith("**", i):
            out, i = out + ".*", i + 2
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and (end := pattern.find("]", i + 2)) > 0:
            body = pattern[i + 1 : end].replace("\\", "\\\\")
            out, i = out + f"[{'^' + body[1:] if body[0] in '!^' else body}]", end + 1
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    try:
        return re.compile(f"(?:{out})(?:/.*)?", re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
