"""Which known key an unknown one was meant to be. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

ANY = "funai"
OWNERS = (ANY, "runner", "runtime", "deploy", "gateway")
"""First words that name a service: what follows them tells keys apart."""
ENOUGH, STEM, HALF = 0.75, 0.1, 0.5


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key that is spelled most like it, also another service's of the same rest; None: none is near."""
    best = max(((_likeness(key, name), name) for name in sorted(known)), default=(0.0, ""))
    return best[1] if best[0] >= ENOUGH else None


def _likeness(key: str, name: str) -> float:
    """1 is the same. What counts is the rest behind the owner: one that begins or ends as the other counts for more, and one of
    another service for less, unless the owner is the platform, whose name stands before keys of all of them.
    """
    (owner, mine), (other, its) = _split(key), _split(name)
    rest = _ratio(mine, its)
    whole = _ratio(f"{owner}_{mine}", f"{other}_{its}") if rest >= HALF else 0
    long, short = sorted((mine, its), key=len, reverse=True)
    stem = STEM if long.startswith(short) or long.endswith(short) else 0
    foreign = STEM * 3 if owner != other and owner not in ("", ANY) else 0
    return max(rest, whole) + stem - foreign + (0.01 if owner == other else 0)


def _split(key: str) -> tuple[str, str]:
    words = re.split(r"[._-]+", key.lower())
    owned = len(words) > 1 and words[0] in OWNERS
    return (words[0], "_".join(words[1:])) if owned else ("", "_".join(words))


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
