"""What a build prints: passed on, bounded, and read for the one failure that no exit status tells."""

from __future__ import annotations

import re
from collections.abc import Callable

from funai.contracts.reasons import FailureCode
from funai.i18n.joblog import LINES
from funai.i18n.sizes import size
from funai.runner.failures import JobFailed, last_lines

TAIL_BYTES = 64 * 1024
_NPM_GAVE_UP = re.compile(rb"(?m)^npm (?:error|ERR!) (?:Exit handler|cb\(\)) never called!")
"""npm's last words when it ends in the middle of its work (a registry that is away or not trusted): its exit status is 0."""
_LONGEST = 64
_NPM_HELP = re.compile(
    r"npm (?:error|ERR!)\s*(?:\[.*\]|Usage:|Options:|npm ci|Clean install a project|aliases:.*|"
    r"Run \"npm help .*|A complete log of this run .*)?\s*"
)
"""What npm prints below every error, and says nothing of it."""


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
        """The last ones, for people."""
        kept = (line for line in self._text().split("\n") if not _NPM_HELP.fullmatch(line))
        return last_lines("\n".join(kept))

    def recent(self) -> list[str]:
        """All that is kept: a program's reason may stand above a screen of its help."""
        return last_lines(self._text(), TAIL_BYTES)

    def _text(self) -> str:
        return self._tail.decode("utf-8", "replace")
