"""Which ``RUN --mount`` a Dockerfile may use: mounts whose source can't be bent to a folder of the host.

Engines in the field join a mount's source to a folder of the host and let the kernel follow the links in it: a link that
an earlier stage or step made (CVE-2024-1753), or a cache's ``id`` with ``..`` (CVE-2024-9675), mounts the host's own
files, writable. So a source is taken only where no step could have put a link: the whole of a stage, the files of the
commit, and caches that don't lie inside each other.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from funai.dockerfile.syntax import Problem
from funai.i18n.reasons import Words

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "readwrite": "rw", "ro": "readonly"}
_OPTIONS = {
    "bind": {"type", "source", "target", "from", "rw", "readonly"},
    "cache": {"type", "id", "target", "sharing", "mode", "uid", "gid", "readonly", "rw", "from", "source"},
    "tmpfs": {"type", "target", "size"},
    "secret": {"type", "id", "target", "required", "mode", "uid", "gid"},
    "ssh": {"type", "id", "target", "required", "mode", "uid", "gid"},
}
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+~=-]*")
"""Values that every engine reads alike."""
_LOCKS = "buildah-cache-lockfile"
"""How the names of the files begin that ``sharing=locked`` opens on the host."""

_SIMPLE = Words("请只写字母、数字和 _ . / : @ % + ~ -", "write letters, digits and _ . / : @ % + ~ - only")
_COPY = Words("请改用 COPY --from", "use COPY --from instead")
_CACHE = Words(
    "缓存只能有简单的 id 或绝对路径的 target，不能有 source、from，也不能互相嵌套",
    "a cache has a simple id or an absolute target, no source or from, and none lies inside another",
)
_LOCKED = Words(
    "请去掉 sharing=locked：缓存本来就只属于这一次构建", "without sharing=locked: a cache is this build's own anyway"
)
_TYPE = Words("不支持的类型", "a type that is not supported")
_TWICE = Words("同一选项出现两次", "an option stands in it twice")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount with its variables replaced. ``refused`` says what to write instead, None when it may be."""

    line: int
    options: tuple[tuple[str, str], ...]
    refused: Words | None = None

    def get(self, name: str) -> str:
        return next((value for key, value in self.options if key == name), "")

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.options)

    @property
    def kind(self) -> str:
        return self.get("type").lower() or "bind"

    @property
    def writable(self) -> bool:
        return (self.has("rw") and self.get("rw") not in ("false", "0")) or self.get("readonly") in ("false", "0")

    @property
    def of_context(self) -> bool:
        return self.kind == "bind" and not self.get("from")

    @property
    def mounts_files(self) -> bool:
        """Whether it shows files whose contents Podman's cache takes no notice of."""
        return self.kind == "bind" or bool(self.get("from"))

    @property
    def source(self) -> str:
        """A bind's source, relative; ``.`` is all of it."""
        return posixpath.normpath("/" + self.get("source")).lstrip("/") or "."

    @property
    def key(self) -> str:
        """Where below the engine's folder of caches a cache lies; "" when that isn't certain."""
        place = self.get("id") or self.get("target")
        if self.get("from") or self.has("source") or not (self.get("id") or place.startswith("/")):
            return ""
        parts = [p for p in place.split("/") if p not in ("", ".")]
        if any(p == ".." or p.lower().startswith(_LOCKS) for p in parts):
            return ""
        return "/".join(parts)

    def flag(self, origin: str) -> str:
        """The flag as every engine reads it. ``origin`` replaces ``from``."""
        pairs = [("type", self.kind), *(("from", origin) for _ in [0] if origin)]
        pairs += [(k, v) for k, v in self.options if k not in ("type", "from")]
        return "--mount=" + ",".join(f"{k}={v}" if v else k for k, v in pairs)

    def __str__(self) -> str:
        return "--mount=" + ",".join(f"{k}={v}" if v else k for k, v in self.options)


def read_mount(value: str, line: int, expand: Callable[[str], str]) -> Mount:
    """``type=cache,target=/x`` as options; ``expand`` replaces variables and may raise BadWord."""
    pairs: list[tuple[str, str]] = []
    for option in value.split(","):
        name, _, text = option.partition("=")
        name = name.strip().lower()
        pairs.append((_ALIASES.get(name, name), expand(text)))
    mount = Mount(line, tuple(pairs))
    return Mount(line, tuple(pairs), _refused(mount))


def _refused(mount: Mount) -> Words | None:
    names = [name for name, _ in mount.options]
    if len(set(names)) != len(names):
        return _TWICE
    if mount.kind not in _OPTIONS:
        return _TYPE
    if unknown := [n for n in names if n not in _OPTIONS[mount.kind]]:
        return Words(f"平台的构建器不认识选项 {unknown[0]}", f"the platform's builder does not know the option {unknown[0]}")
    if not all(_PLAIN.fullmatch(value) for _, value in mount.options):
        return _SIMPLE
    if mount.kind == "cache" and not mount.key:
        return _CACHE
    if mount.kind == "bind" and mount.get("from") and mount.source != ".":
        return _COPY
    return None


def problems(mounts: Sequence[Mount]) -> list[Problem]:
    """What is wrong with each, and with them together."""
    caches = [m for m in mounts if m.kind == "cache" and not m.refused]
    lines = _lines(caches)
    out = [_problem(m, m.refused) for m in mounts if m.refused]
    for cache in caches:
        # A step could put a link into one cache, or in place of its lock file, and the next step's mount would follow it.
        if any(cache.key.startswith(f"{key}/") for key in lines):
            out.append(_problem(cache, _CACHE))
        elif cache.get("sharing").lower() == "locked" and len(lines[cache.key]) > 1:
            out.append(_problem(cache, _LOCKED))
    return out


def share_caches(mounts: Iterable[Mount]) -> bool:
    """Whether two steps use one cache: then what the second does depends on more than its own text."""
    return any(len(at) > 1 for at in _lines(m for m in mounts if m.kind == "cache").values())


def _lines(caches: Iterable[Mount]) -> dict[str, set[int]]:
    lines = defaultdict[str, set[int]](set)
    for cache in caches:
        lines[cache.key].add(cache.line)
    return lines


def _problem(mount: Mount, words: Words) -> Problem:
    shown = str(mount)[:200]
    return Problem(mount.line, Words(f"RUN 不能使用 {shown}：{words.zh}", f"RUN may not use {shown}: {words.en}"))
