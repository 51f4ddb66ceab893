"""What a Dockerfile may make the engine itself fetch: never another tenant's image, never an address. Pure.

The engine that builds holds every app's images and the host's network, so a ``FROM`` (or ``--from``) naming an image of
another app would copy a user's code. Engines read the same text differently (which comments count, what joins lines), so
every line that could begin an instruction in any of them is taken for one, and a name with two values has both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from funai.contracts.errors import BadInput
from funai.i18n.reasons import Words

MAX_CANDIDATES = 256
MAX_READ = 4 * 1024 * 1024
"""Characters that all readings of one Dockerfile may have together."""

Given = Mapping[str, Iterable[str]]
"""Values of variables that come from elsewhere: build arguments, and the ENV of a base image."""

_ASKED = {"FROM", "ADD", "COPY", "RUN", "ONBUILD", "ARG", "ENV"}
_ESCAPE = re.compile(r"^[ \t]*#[ \t]*escape[ \t]*=[ \t]*([\\`])[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_CONTINUED = re.compile(r"[\\`][ \t]*$")
_ONBUILD = re.compile(r"^(?:\s*ONBUILD\s)+\s*", re.IGNORECASE)
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_COPY_FROM = re.compile(r"--from[=\s]+(\S+)|[=,]from=([^,\s]+)", re.IGNORECASE)
_ADD = re.compile(r"^\s*ADD\s+(.+)$", re.IGNORECASE | re.DOTALL)
_RUN = re.compile(r"^\s*RUN(?=\s)", re.IGNORECASE)
_GO_SPACES = " \t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_FLAG = re.compile(f"[{_GO_SPACES}]*(--[^{_GO_SPACES}]+)")
"""Flags end where the engines' language sees a blank, which is not everywhere that Python does."""
_HARMLESS_FLAG = re.compile(r"--mount=.*|--network=(none|default)|--security=sandbox", re.IGNORECASE)
_NO_FILES = re.compile(r"(?!.*[=,]from=).*[=,]type=(cache|tmpfs|secret|ssh)(,|$)", re.IGNORECASE)
_SETTING = re.compile(r"^\s*(?:ARG|ENV)\s+(.+)$", re.IGNORECASE | re.DOTALL)
_DOCKERS_ONLY = re.compile(r"^[ \t]*(SHELL|HEALTHCHECK|ONBUILD)\b", re.IGNORECASE | re.MULTILINE)
_ARG = re.compile(r"^\s*ARG\s+(.+)$", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"(?<!\w)([A-Za-z_]\w*)[=\s]\s*(\"[^\"]*\"|'[^']*'|\S*)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+])([^{}]*))?\}|(\w+))")
_TRANSPORT = re.compile(
    r"(containers-storage|docker-daemon|docker-archive|oci|oci-archive|dir|sif|ostree|tarball|atomic):|\w[\w+-]*:/",
    re.IGNORECASE,
)
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{1,64}", re.IGNORECASE)
_APPS_NAME = re.compile(r"(?:.*/)?u[1-9]\d*-app[1-9]\d*(?:[:@].*)?")
"""An app's image under whatever registry's name: an engine finds ``u1-app1`` among what it built for others."""
_NOISE = str.maketrans("", "", "\\\"'`")
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")


def foreign_images(dockerfile: str, registry: str, own: str, given: Given | None = None) -> list[str]:
    """References that reach past a tenant's own images: ``registry`` is the platform's ``host[:port]``, ``own`` the
    app's ``registry/namespace/repository``. Also image ids, engine transports and what can't be resolved.
    """
    values = values_of(dockerfile, given)
    found: list[str] = []
    for reference, known in _references(dockerfile):
        candidates = expansions(reference, values)
        if candidates is None or any(is_foreign(c, registry, own) for c in candidates if c.lower() not in known):
            found.append(reference)
    return found


def is_foreign(image: str, registry: str, own: str) -> bool:
    """One image reference, by the rule of :func:`foreign_images`."""
    image = image.lower()
    if _TRANSPORT.match(image) or _IMAGE_ID.fullmatch(image):
        return True
    if registry.lower() + "/" not in image and not _APPS_NAME.fullmatch(image):
        return False
    return re.fullmatch(re.escape(own.lower()) + r"([:@].*)?", image) is None


def possible_images(dockerfile: str, given: Given | None = None) -> list[str]:
    """Every image that some engine could start from or copy from, its own stages and ``scratch`` left out."""
    values = values_of(dockerfile, given)
    out: dict[str, None] = {}
    for reference, known in _references(dockerfile):
        for name in expansions(reference, values) or ():
            if name and name.lower() not in known and name.lower() != "scratch":
                out[name] = None
    return list(out)


def wanted_images(dockerfile: str, given: Given | None = None) -> list[str]:
    """Those of :func:`possible_images` that the Dockerfile names as engines commonly read it: what a build will need."""
    values = values_of(dockerfile, given)
    named: set[str] = set()
    for line in _logical(dockerfile, _escapes(dockerfile)[0], True):
        for reference in _named_by(line.translate(_NOISE)):
            named |= expansions(reference, values) or set()
    return [name for name in possible_images(dockerfile, given) if name in named]


def fetched_urls(dockerfile: str, given: Given | None = None) -> list[str]:
    """Sources of ``ADD`` that are addresses: the engine would fetch them from the host's own network, loopback included."""
    values = values_of(dockerfile, given)
    found: list[str] = []
    for text in _readings(dockerfile):
        if not (m := _ADD.match(text)):
            continue
        for word in re.split(r"[\s\[\],]+", m[1]):
            candidates = expansions(word, values)
            if word not in found and (candidates is None or any("://" in c or c.startswith("git@") for c in candidates)):
                found.append(word)
    return found


def refused_flags(dockerfile: str) -> list[str]:
    """Flags of ``RUN`` that newer engines know and that ask for more than a sandbox: the host's network, privileges."""
    flags = dict.fromkeys(f.translate(_NOISE) for _, found in run_flags(dockerfile) for f in found)
    return [f for f in flags if not _HARMLESS_FLAG.fullmatch(f)]


def run_flags(dockerfile: str) -> Iterator[tuple[int, list[str]]]:
    """The flags of every ``RUN``, as they stand, with the line it begins in; a line once for each reading of it."""
    for line, text in _texts(dockerfile):
        if run := _RUN.match(text):
            flags, at = list[str](), run.end()
            while m := _FLAG.match(text, at):
                flags.append(m[1])
                at = m.end()
            yield line, flags


def mounts_files(dockerfile: str) -> bool:
    """Whether a step mounts files of the context or of another stage: Podman's cache takes no notice of what is in them."""
    mounts = [f for _, flags in run_flags(dockerfile) for f in flags if f.lower().startswith("--mount")]
    return any(not _NO_FILES.match(mount) for mount in mounts)


def needs_docker(dockerfile: str) -> bool:
    """Whether a line may ask for what only an image in Docker's own format can hold: a shell, a health check, triggers."""
    return _DOCKERS_ONLY.search(dockerfile) is not None


def declared_args(dockerfile: str) -> set[str]:
    """Names of all build arguments it declares."""
    settings = [m[1] for text in _readings(dockerfile) if (m := _ARG.match(text))]
    return {word.partition("=")[0] for setting in settings for word in setting.split()}


def _readings(dockerfile: str) -> Iterator[str]:
    """The texts of :func:`_texts` without quotes and escapes."""
    for _, text in _texts(dockerfile):
        yield text.translate(_NOISE)
        if "\\u" in text:
            yield _UNICODE.sub(lambda m: chr(int(m[1], 16)), text).translate(_NOISE)


def _texts(dockerfile: str) -> Iterator[tuple[int, str]]:
    """Every text that some engine could take for one instruction, without ONBUILD, with the line it begins in.

    Raises BadInput for a Dockerfile with more of them than anybody writes.
    """
    lines = [line.rstrip("\r") for line in dockerfile.removeprefix("\ufeff").split("\n")]
    left = MAX_READ
    for start, line in enumerate(lines):
        if line.split(None, 1)[:1] == [] or line.split(None, 1)[0].upper() not in _ASKED:
            continue
        pieces = _continued(lines, start, left)
        # Engines glue lines as they are, or without their indent; a blank between them is how people mean it.
        for text in dict.fromkeys(("".join(pieces), "".join(p.lstrip() for p in pieces), " ".join(pieces))):
            left -= len(text)
            if left < 0:
                raise BadInput(detail=Words("Dockerfile 过于复杂", "the Dockerfile is too complex"))
            yield start, _ONBUILD.sub("", text)


def _continued(lines: list[str], start: int, most: int) -> list[str]:
    """The line and those that continue it, comments and blank lines between them left out; at most ``most`` characters."""
    pieces: list[str] = []
    for n in range(start, len(lines)):
        line = lines[n]
        if n > start and (not line.strip() or line.lstrip().startswith("#")):
            # Looking past them costs too: a Dockerfile of nothing else must not be read over and over.
            most -= len(line) + 1
            if most < 0:
                break
            continue
        bare = _CONTINUED.sub("", line)
        pieces.append(bare)
        most -= len(line) + 1
        if bare == line or most < 0:
            break
    return pieces


def _logical(dockerfile: str, escape: str, indented_comments: bool) -> list[str]:
    """The instructions as one kind of engine reads them. Older ones take an indented ``#`` in a continuation as text."""
    tail = re.compile(re.escape(escape) + r"[ \t]*$")
    out: list[str] = []
    current: str | None = None
    for raw in dockerfile.removeprefix("\ufeff").split("\n"):
        line = raw.rstrip("\r")
        bare = line if current is not None and not indented_comments else line.lstrip()
        if bare.startswith("#") or not line.strip():
            continue
        joined, more = tail.subn("", line)
        current = joined.lstrip() if current is None else current + joined
        if not more:
            out.append(current)
            current = None
    return [*out, current] if current else out


def _escapes(dockerfile: str) -> list[str]:
    """What may join lines: the backslash, and what a directive names (which counts in some places only)."""
    named = [m[1] for m in _ESCAPE.finditer(dockerfile)]
    return list(dict.fromkeys([*named[:1], "\\"]))


def _named_by(text: str) -> list[str]:
    base = _FROM.match(text)
    return [*([base[1]] if base else []), *(a or b for a, b in _COPY_FROM.findall(text))]


def _references(dockerfile: str) -> Iterator[tuple[str, set[str]]]:
    """Each reference with the names that mean a stage there."""
    stages, numbers = _stages(dockerfile)
    for text in _readings(dockerfile):
        base = _FROM.match(text)
        if base:
            yield base[1], stages
        for a, b in _COPY_FROM.findall(text):
            yield a or b, stages | numbers


def _stages(dockerfile: str) -> tuple[set[str], set[str]]:
    """Names and numbers of the stages that there are in every engine's reading: only these excuse a name."""
    names: list[set[str]] = []
    counts: list[int] = []
    for escape in _escapes(dockerfile):
        for indented in (True, False):
            found = [m for line in _logical(dockerfile, escape, indented) if (m := _FROM.match(line.translate(_NOISE)))]
            names.append({m[2].lower() for m in found if m[2]})
            counts.append(len(found))
    everywhere = {name for name in names[0] if all(name in other for other in names)}
    return everywhere, {str(i) for i in range(min(counts))}


def values_of(dockerfile: str, given: Given | None) -> dict[str, set[str]]:
    """What each variable could stand for, anywhere in the file."""
    values: dict[str, set[str]] = {name: {v.translate(_NOISE) for v in known} for name, known in (given or {}).items()}
    for text in _readings(dockerfile):
        if m := _SETTING.match(text):
            for name, value in _PAIR.findall(m[1]):
                values.setdefault(name, set()).add(value.translate(_NOISE))
    return values


def expansions(reference: str, values: dict[str, set[str]]) -> set[str] | None:
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
