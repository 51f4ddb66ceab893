"""``COPY --parents`` for builders that lack it: each source by itself, into its own folder below the target.

A file and a folder are copied alike: ``COPY a/b /to/a/b`` makes the file ``/to/a/b``, or puts what the folder has into it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from funai.dockerfile.syntax import Instruction, wrong
from funai.dockerfile.wildcards import MAX_PATTERN, path_pattern

MAX_COPIES = 100
"""Each copy is a layer."""
_NAMED = re.compile(r"[\w@.+/-]+", re.ASCII)
_PATTERN = re.compile(r"[\w@.+/*-]+", re.ASCII)
_TARGET = re.compile(r"[\w@.+/${}:-]+", re.ASCII)
_PIVOT = "/./"


def keeps_parents(i: Instruction) -> bool:
    return any(flag.name == "parents" and flag.value not in ("false", "0") for flag in i.flags)


def translatable(i: Instruction) -> bool:
    """Whether the sources are plain paths, or patterns of ``*`` and ``**`` for files of the build context."""
    if i.name != "COPY" or i.heredocs or len(i.list) < 2:
        return False
    allowed = _NAMED if i.flag("from") is not None else _PATTERN
    *sources, target = i.list
    plain = all(allowed.fullmatch(w) and ".." not in w.split("/") and len(w) <= MAX_PATTERN for w in sources)
    return plain and all(w.count("**") <= 1 for w in sources) and _TARGET.fullmatch(target) is not None


def copies(i: Instruction, paths: Collection[str]) -> list[tuple[str, str]]:
    """(source, target) of each copy. ``paths`` are the context's files. Raises BadInput where a pattern means nothing."""
    *sources, target = i.list
    below = target.rstrip("/")
    out: list[tuple[str, str]] = []
    for word in sources:
        # Of ``a/./b`` the parents are those behind the point.
        before, pivot, after = f"/{word}".partition(_PIVOT)
        left_out = _clean(before).count("/") + 1 if pivot and _clean(before) else 0
        whole = _clean(f"{before}/{after}")
        found = _matching(i, whole, paths) if "*" in whole else [whole]
        out += [(source or ".", "/".join((below, *source.split("/")[left_out:]))) for source in found]
    if len(out) > MAX_COPIES:
        raise wrong(i.line, f"COPY --parents 超过 {MAX_COPIES} 个来源", f"COPY --parents has more than {MAX_COPIES} sources")
    return out


def _clean(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _matching(i: Instruction, glob: str, paths: Collection[str]) -> list[str]:
    # Here ``**`` stands for any number of folders; in the pattern for one or several.
    patterns = [path_pattern(g) for g in dict.fromkeys((glob, glob.replace("**/", "", 1)))]
    known = {known for path in paths for known in _with_folders(path)}
    found = sorted(path for path in known if any(p.fullmatch(path) for p in patterns))
    if not found:
        raise wrong(i.line, f"COPY --parents {glob}：没有匹配的文件", f"COPY --parents {glob}: no file matches")
    return [path for path in found if not any(path.startswith(f"{folder}/") for folder in found)]


def _with_folders(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:n]) for n in range(1, len(parts) + 1))
