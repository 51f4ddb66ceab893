"""What a build prints: passed on, bounded, and read for the one failure that no exit status tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from funai.contracts.reasons import FailureCode
from funai.i18n.joblog import LINES, both
from funai.i18n.sizes import size
from funai.runner.failures import JobFailed, last_lines

TAIL_BYTES = 64 * 1024
_NPM_GAVE_UP = re.compile(rb"(?m)^npm (?:error|ERR!) (?:Exit handler|cb\(\)) never called!")
"""npm's last words when it ends in the middle of its work (a registry that is away or not trusted): its exit status is 0."""
_LONGEST = 64
_STALE_LOCKS = (
    (re.compile(r"\bERR_PNPM_(OUTDATED_LOCKFILE|BROKEN_LOCKFILE|LOCKFILE_\w+)"), "pnpm-lock.yaml", "pnpm install"),
    (re.compile(r"\bnpm ci. can only install packages when"), "package-lock.json", "npm install"),
    (re.compile(r"Your lockfile needs to be updated, but yarn was run with|\bYN0028\b"), "yarn.lock", "yarn install"),
    (re.compile(r"\blockfile had changes, but lockfile is frozen"), "bun.lock", "bun install"),
)
"""What package managers say of a lock file that does not fit package.json, the file, and the command that fixes it."""

_NO_COMPILER = re.compile(
    r"\bgyp ERR! (find Python|stack Error: (not found: make|Could not find any Python)|not found: make)"
    r"|\bnode-gyp: (Permission denied|not found)"
)
"""node-gyp's words when a package has no binary for this machine, and the image nothing to make one with."""


class Output:
    """What the build prints: passed on as it comes, its end kept, and ended past its limit (bytes).

    ``strict``: an npm that gave up ends the build. The standard image's own check names the registry, so it needs none.
    """

    def __init__(self, limit: int, write: Callable[[bytes], None], *, strict: bool = False) -> None:
        self._limit, self._write, self._strict = limit, write, strict
        self._total = 0
        self._tail = bytearray()

    async def take(self, piece: bytes) -> None:
        """Raises JobFailed BUILD_OUTPUT_LIMIT, PACKAGE_REGISTRY_UNREACHABLE."""
        self._total += len(piece)
        self._tail += piece
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[: -TAIL_BYTES - len(piece)]
        if self._total > self._limit:
            raise JobFailed(FailureCode.BUILD_OUTPUT_LIMIT, self.lines(), limit=size(self._limit))
        self._write(piece)
        if self._strict and _NPM_GAVE_UP.search(self._tail, max(0, len(self._tail) - len(piece) - _LONGEST)):
            raise JobFailed(FailureCode.PACKAGE_REGISTRY_UNREACHABLE, self.lines(), message="\n".join(LINES["npm_gave_up"]))

    def lines(self) -> list[str]:
        return last_lines(self._tail.decode("utf-8", "replace"))


def stale_lock(lines: Iterable[str]) -> str | None:
    """What to do, in both languages, when the build ended because a lock file does not fit package.json."""
    for line in lines:
        for words, file, command in _STALE_LOCKS:
            if words.search(line):
                return both("stale_lock", file=file, command=command)
    return None


def no_compiler(lines: Iterable[str]) -> str | None:
    """What to do, in both languages, when a native package had to be compiled and the image has no compiler."""
    return both("no_compiler") if any(map(_NO_COMPILER.search, lines)) else None
