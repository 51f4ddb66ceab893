"""Which ``RUN --mount`` a Dockerfile may use: those whose source nobody can bend to a folder of the host. Pure.

Engines in the field join a mount's source to a folder of the host and let the kernel follow the links in it: a link that
an earlier stage or step made (CVE-2024-1753), or a cache's ``id`` with ``..`` (CVE-2024-9675), mounts the host's own
files, writable. So a source is taken only where no step could have put a link: the whole of a stage, the files of the
commit, and caches that don't lie inside each other.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from funai.contracts.basecheck import Given, expansions, run_flags, values_of
from funai.i18n.reasons import Words

_QUOTING = re.compile(r"[\"'`\\]")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "readwrite": "rw"}
_NO_SOURCE = {"tmpfs", "secret", "ssh"}
_LOCKS = "buildah-cache-lockfile"
"""How the names of the files begin that ``sharing=locked`` opens on the host."""

_PLAIN = Words("请去掉引号、反斜杠和无法确定的变量", "without quotes, backslashes and variables that can't be told")
_COPY = Words("请改用 COPY --from", "use COPY --from instead")
_CACHE = Words(
    "缓存只能有简单的 id 或绝对路径的 target，不能有 source、from，也不能互相嵌套",
    "a cache has a simple id or an absolute target, no source or from, and none lies inside another",
)
_LOCKED = Words(
    "请去掉 sharing=locked：缓存本来就只属于这一次构建", "without sharing=locked: a cache is this build's own anyway"
)
_TYPE = Words("不支持的类型", "a type that is not supported")


@dataclass(frozen=True, slots=True)
class ContextMount:
    """A folder or file of the build context that a step sees. ``source`` is relative, ``.`` the whole context."""

    flag: str
    source: str
    writable: bool


@dataclass(slots=True)
class Mounts:
    """``refused`` are flags with what to write instead; ``context`` is left to whoever knows the files."""

    refused: list[tuple[str, Words]] = field(default_factory=list[tuple[str, Words]])
    context: list[ContextMount] = field(default_factory=list[ContextMount])
    shared: bool = False
    """Whether two steps use one cache: then what the second does depends on more than its own text."""


@dataclass(frozen=True, slots=True)
class _Cache:
    flag: str
    line: int
    key: str
    locked: bool


def read_mounts(dockerfile: str, given: Given | None = None) -> Mounts:
    """All mounts of all steps, in every reading that some engine could have of them."""
    values, out, caches = values_of(dockerfile, given), Mounts(), dict[_Cache, None]()
    for line, flags in run_flags(dockerfile):
        for flag in flags:
            if not flag.lower().startswith("--mount"):
                continue
            known = None if _QUOTING.search(flag) else expansions(flag, values)
            if known is None:
                out.refused.append((flag, _PLAIN))
            for text in sorted(known or ()):
                _take(flag, line, text, out, caches)
    out.refused += _nested(caches)
    out.shared = len({(c.key, c.line) for c in caches}) > len({c.key for c in caches})
    out.refused, out.context = list(dict.fromkeys(out.refused)), list(dict.fromkeys(out.context))
    return out


def _take(flag: str, line: int, text: str, out: Mounts, caches: dict[_Cache, None]) -> None:
    """One mount as it stands, without variables."""
    options = [o.partition("=") for o in text.partition("=")[2].split(",")]
    named = [(_ALIASES.get(name.lower(), name.lower()), value) for name, _, value in options]
    option = dict(named)
    kind = option.get("type", "bind").lower()
    if len(option) != len(named):
        out.refused.append((flag, _PLAIN))
    elif kind == "bind":
        source = posixpath.normpath("/" + option.get("source", "")).lstrip("/") or "."
        if not option.get("from"):
            out.context.append(ContextMount(flag, source, "rw" in option))
        elif source != ".":
            out.refused.append((flag, _COPY))
    elif kind == "cache":
        key = _cache_key(option)
        if key is None:
            out.refused.append((flag, _CACHE))
        else:
            caches[_Cache(flag, line, key, option.get("sharing", "").lower() == "locked")] = None
    elif kind not in _NO_SOURCE:
        out.refused.append((flag, _TYPE))


def _cache_key(option: dict[str, str]) -> str | None:
    """Where below the engine's folder of caches it lies, or None when that can't be told for sure."""
    place = option.get("id") or option.get("target", "")
    if option.get("from") or "source" in option or not (option.get("id") or place.startswith("/")):
        return None
    parts = [p for p in place.split("/") if p not in ("", ".")]
    if not parts or any(p == ".." or p.lower().startswith(_LOCKS) for p in parts):
        return None
    return "/".join(parts)


def _nested(caches: Iterable[_Cache]) -> list[tuple[str, Words]]:
    """A step could put a link into one cache, or in place of its lock file, and the next step's mount would follow it."""
    keys, lines = {c.key for c in caches}, defaultdict[str, set[int]](set)
    for cache in caches:
        lines[cache.key].add(cache.line)
    return [
        *((c.flag, _CACHE) for c in caches if any(c.key.startswith(f"{key}/") for key in keys)),
        *((c.flag, _LOCKED) for c in caches if c.locked and len(lines[c.key]) > 1),
    ]
