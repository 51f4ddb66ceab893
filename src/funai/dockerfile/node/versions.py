"""Which Node a project asks for, and which image it gets."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from semantic_version import NpmSpec, Version

from funai.dockerfile.node.files import MISE, ProjectFiles, strings

MAJORS = (20, 22, 24)
"""What the standard image is offered in, oldest first."""
DEFAULT_MAJOR = 20
"""For a project that doesn't say."""
_CODENAMES = {"iron": 20, "jod": 22, "krypton": 24}
_NEWEST_WORDS = ("lts/*", "node", "stable", "current", "latest")


def image_of(major: int) -> str:
    return f"node:{major}-bookworm-slim"


@dataclass(frozen=True, slots=True)
class NodeWish:
    """``text`` as the project wrote it in ``source``; ``majors``: those of MAJORS that satisfy it, the preferred one first."""

    source: str
    text: str
    majors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeChoice:
    """The Node of the image. ``wish`` is None where the project says nothing; ``satisfied``: it gets what it asks for."""

    major: int
    wish: NodeWish | None
    satisfied: bool = True

    @property
    def image(self) -> str:
        return image_of(self.major)


MAX_WISH = 200
"""Characters; longer ones mean nothing."""


def node_wish(files: ProjectFiles) -> NodeWish | None:
    """The first that is usable of ``.nvmrc``, ``.node-version``, ``.tool-versions``, ``mise.toml``, ``engines``, ``devEngines``
    and ``volta``.
    """
    tools = re.search(r"^(?:nodejs|node)[ \t]+(\S+)", files.texts.get(".tool-versions", ""), re.MULTILINE)
    engines = strings(files.package.data.get("engines")).get("node")
    volta = strings(files.package.data.get("volta")).get("node")
    said = {
        ".nvmrc": files.texts.get(".nvmrc"),
        ".node-version": files.texts.get(".node-version"),
        ".tool-versions": tools[1] if tools else None,
        **{name: _mise(files.texts.get(name, "")) for name in MISE},
        "package.json engines.node": engines,
        "package.json devEngines.runtime": _runtime(files.package.data.get("devEngines")),
        "package.json volta.node": volta,
    }
    wishes: list[NodeWish] = []
    for source, text in said.items():
        line = _first_line(text or "")
        if line and len(line) <= MAX_WISH and (majors := satisfying(line)) is not None:
            wishes.append(NodeWish(source, line[:80], majors))
    return wishes[0] if wishes else None


def _mise(text: str) -> str | None:
    """Node's version in mise's settings: ``node = "22"``, a list of versions or a table with one."""
    try:
        tools = tomllib.loads(text.removeprefix("\ufeff")).get("tools")
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    if not isinstance(tools, dict):
        return None
    known = cast("dict[str, object]", tools)
    said = known.get("node", known.get("nodejs"))
    if isinstance(said, list) and said:
        said = cast("list[object]", said)[0]
    if isinstance(said, dict):
        said = cast("dict[str, object]", said).get("version")
    return said if isinstance(said, str) else None


def _first_line(text: str) -> str:
    """The first line that says something, without a byte order mark and the comment that ``nvm`` allows behind a ``#``."""
    lines = (line.partition("#")[0].strip() for line in text.removeprefix("\ufeff").splitlines())
    return next((line for line in lines if line), "")


def _runtime(engines: object) -> str | None:
    """Node's version of ``devEngines``, where its runtime is Node."""
    runtime = strings(cast("dict[object, object]", engines).get("runtime")) if isinstance(engines, dict) else {}
    return runtime.get("version") if runtime.get("name") == "node" else None


def satisfying(text: str) -> tuple[int, ...] | None:
    """The offered majors that a version or range means, the preferred one first; None for a text that is neither."""
    word = text.strip().lower()
    if word in _NEWEST_WORDS:
        return tuple(reversed(MAJORS))
    if older := re.fullmatch(r"lts/-(\d)", word):
        return tuple(reversed(MAJORS))[int(older[1]) :][:1]
    if word.startswith("lts/"):
        major = _CODENAMES.get(word.removeprefix("lts/"))
        return (major,) if major else ()
    exact = re.fullmatch(r"v?(\d+)(\.\d+){0,2}", word)
    if exact:
        return tuple(m for m in MAJORS if m == int(exact[1]))
    spec = _spec(text)
    if spec is None:
        return None
    fits = [m for m in MAJORS if any(spec.match(Version(f"{m}.{minor}.99")) for minor in (99, 30, 20, 10, 0))]
    fits.sort(key=lambda m: (m != DEFAULT_MAJOR, m))
    return tuple(fits)


def _spec(text: str) -> Any:
    spaced = re.sub(r"([<>=~^])\s+", r"\1", text.strip())
    spaced = re.sub(r"(?<![\w.])v(?=\d)", "", spaced)
    try:
        return NpmSpec(spaced)
    except ValueError:
        return None


def choose(wish: NodeWish | None, available: Collection[int] = MAJORS) -> NodeChoice:
    """The image's Node. ``available``: majors that can be had."""
    have = [m for m in MAJORS if m in available] or [DEFAULT_MAJOR]
    if wish is None:
        return NodeChoice(DEFAULT_MAJOR if DEFAULT_MAJOR in have else have[-1], None)
    fitting = next((m for m in wish.majors if m in have), None)
    return NodeChoice(fitting or have[-1], wish, satisfied=fitting is not None)
