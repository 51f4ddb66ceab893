"""What to change in a project whose build failed, by what its tools said: one sentence above their last lines.

A tool's words are no contract: what is not recognised gets no advice, and no outcome depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from funai.i18n.joblog import both


@dataclass(frozen=True, slots=True)
class _Sign:
    """``words`` in a line mean the sentence ``line``, filled from the pattern's named groups and ``known``."""

    words: re.Pattern[str]
    line: str
    known: tuple[tuple[str, str], ...] = ()


def _lock(words: str, file: str, command: str) -> _Sign:
    return _Sign(re.compile(words), "stale_lock", (("file", file), ("command", command)))


SIGNS = (
    _Sign(re.compile(r"^no packages \((?P<packages>[\w+. -]{1,200})\) from (?P<mirror>\S{1,200})$"), "debian_away"),
    _lock(r"\bERR_PNPM_(OUTDATED_LOCKFILE|BROKEN_LOCKFILE|LOCKFILE_\w+)", "pnpm-lock.yaml", "pnpm install"),
    _lock(r"\bnpm ci. can only install packages when", "package-lock.json", "npm install"),
    _lock(r"Your lockfile needs to be updated, but yarn was run with|\bYN0028\b", "yarn.lock", "yarn install"),
    _lock(r"\blockfile had changes, but lockfile is frozen", "bun.lock", "bun install"),
    _Sign(
        re.compile(r"\bgyp (?:ERR!|http) .*\bnodejs\.org/\S*headers\.tar\.gz.*(?:failed|ENOTFOUND|ECONN|ETIMEDOUT)"),
        "node_headers",
    ),
    _Sign(
        re.compile(
            r"\bgyp ERR! (find Python|stack Error: (not found: make|Could not find any Python)|not found: make)"
            r"|\bnode-gyp: (Permission denied|not found)"
        ),
        "no_compiler",
    ),
    _Sign(re.compile(r"\bnpm (?:error|ERR!) (?:code )?ERESOLVE\b"), "peers_conflict"),
    _Sign(re.compile(r"binaries\.prisma\.sh\b.*(ENOTFOUND|ECONN|ETIMEDOUT|EAI_AGAIN|request to)"), "prisma_engines"),
    _Sign(re.compile(r"(ENOTFOUND|ECONN\w+|ETIMEDOUT|EAI_AGAIN|request to).*\bbinaries\.prisma\.sh\b"), "prisma_engines"),
    _Sign(re.compile(r"\bERR_OSSL_EVP_UNSUPPORTED\b|error:0308010C:"), "old_webpack"),
    _Sign(re.compile(r"\bsh: (?:\d+|line \d+): (?P<program>[\w@.-]{1,60}): not found$"), "build_program"),
    _Sign(
        re.compile(
            r"(?:Module not found: (?:Error: )?Can't resolve|failed to resolve import|Could not resolve|Cannot find module) "
            r"[\"'](?P<module>(?:@[\w.-]{1,60}/)?[A-Za-z0-9][\w.-]{0,60})(?:/[\w@./-]{0,100})?[\"']"
        ),
        "package_missing",
    ),
    _Sign(
        re.compile(
            r"(?:Module not found: (?:Error: )?Can't resolve|failed to resolve import|Could not resolve|Cannot find module) "
            r"[\"'](?P<module>(?:\.{1,2}|@|~)/[\w@./-]{1,100})[\"']"
        ),
        "file_missing",
    ),
)
"""The first that any line shows is reported: causes before what follows from them."""


def advice(lines: Sequence[str]) -> str | None:
    """What to do, in both languages; None where nothing is recognised."""
    for sign in SIGNS:
        for line in lines:
            if len(line) < 4_000 and (found := sign.words.search(line)):
                return both(sign.line, **dict(sign.known), **found.groupdict())
    return None
