"""What a Dockerfile may make the engine itself fetch: never another tenant's image, never an address. Pure.

The engine that builds holds the platform registry's login and every app's images, so a ``FROM`` (or ``--from``) naming
one would copy another user's code. What a reference could become is over-estimated: a name with two values has both.
"""

from __future__ import annotations

import re
from itertools import product

MAX_CANDIDATES = 256

_COMMENT = re.compile(r"^\s*#.*\n?", re.MULTILINE)
_JOINED = re.compile(r"[\\`][ \t]*\r?\n")
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)
_COPY_FROM = re.compile(r"--from[=\s]+(\S+)|[=,]from=([^,\s]+)", re.IGNORECASE)
_ADD = re.compile(r"^\s*(?:ONBUILD\s+)?ADD\s+(.+)$", re.IGNORECASE | re.MULTILINE)
_SETTING = re.compile(r"^\s*(?:ARG|ENV)\s+(.+)$", re.IGNORECASE | re.MULTILINE)
_PAIR = re.compile(r"([A-Za-z_]\w*)[=\s]\s*(\"[^\"]*\"|'[^']*'|\S*)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+])([^{}]*))?\}|(\w+))")
_TRANSPORT = re.compile(
    r"(containers-storage|docker-daemon|docker-archive|oci|oci-archive|dir|sif|ostree|tarball|atomic):|\w[\w+-]*:/",
    re.IGNORECASE,
)
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}", re.IGNORECASE)
_NOISE = str.maketrans("", "", "\\\"'`")


def foreign_images(dockerfile: str, registry: str, own: str) -> list[str]:
    """References that reach past a tenant's own images: ``registry`` is the platform's ``host[:port]``, ``own`` the
    app's ``registry/namespace/repository``. Also image ids, engine transports and what can't be resolved.
    """
    text = _plain(dockerfile)
    values = _values(text)
    bases = _FROM.findall(text)
    stages = {stage.lower() for _, stage in bases if stage} | {str(i) for i in range(len(bases))}
    asked = [(image, stages - {str(i) for i in range(len(bases))}) for image, _ in bases]
    asked += [(a or b, stages) for a, b in _COPY_FROM.findall(text)]
    found: list[str] = []
    for reference, known in asked:
        candidates = _candidates(reference.translate(_NOISE), values)
        if candidates is None or any(_is_foreign(c, registry, own) for c in candidates if c.lower() not in known):
            found.append(reference)
    return found


def fetched_urls(dockerfile: str) -> list[str]:
    """Sources of ``ADD`` that are addresses: the engine would fetch them from the host's own network, loopback included."""
    text = _plain(dockerfile)
    values = _values(text)
    words = [w for line in _ADD.findall(text) for w in re.split(r"[\s\[\],]+", line) if w]
    found: list[str] = []
    for word in words:
        candidates = _candidates(word.translate(_NOISE), values)
        if candidates is None or any("://" in c or c.startswith("git@") for c in candidates):
            found.append(word)
    return found


def _plain(dockerfile: str) -> str:
    return _JOINED.sub(" ", _COMMENT.sub("", dockerfile))


def _values(text: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for setting in _SETTING.findall(text):
        for name, value in _PAIR.findall(setting):
            values.setdefault(name, set()).add(value.translate(_NOISE))
    return values


def _candidates(reference: str, values: dict[str, set[str]]) -> set[str] | None:
    """Everything the reference could stand for; None when that is too much or not understood."""
    done: set[str] = set()
    todo = {reference}
    for _ in range(8):
        following: set[str] = set()
        for text in todo:
            parts = list(_VARIABLE.finditer(text))
            if not parts:
                done.add(text)
                continue
            choices = [sorted(_choices(m, values)) for m in parts]
            for chosen in product(*choices):
                pieces = iter(chosen)
                following.add(_VARIABLE.sub(lambda _m, p=pieces: next(p), text))
                if len(following) > MAX_CANDIDATES:
                    return None
        todo = following
    return None if todo or any("$" in text for text in done) else done


def _choices(m: re.Match[str], values: dict[str, set[str]]) -> set[str]:
    known = values.get(m[1] or m[4], set())
    return {*known, m[3]} if m[2] else known or {""}


def _is_foreign(image: str, registry: str, own: str) -> bool:
    image = image.lower()
    if _TRANSPORT.match(image) or _IMAGE_ID.fullmatch(image):
        return True
    if registry.lower() + "/" not in image:
        return False
    return re.fullmatch(re.escape(own.lower()) + r"([:@].*)?", image) is None
