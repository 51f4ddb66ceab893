"""Which releases and manifests are kept: rules over values, without a clock, a database or a registry.

A release that isn't kept is *retired*: no rollback to it is possible. A manifest may go when only retired releases, or none
at all, refer to it. What the platform can't know the origin of stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from funai.base.clients.registry.contract import Artifact

_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})(?:-[0-9a-f]{12})?")
"""A commit, or ``{commit}-{inputs}``: the Runner writes both."""


def to_retire(numbers: Iterable[int], keep: int, live: int | None) -> list[int]:
    """An app's releases that can be rolled back to and are neither among the last ``keep`` nor live."""
    newest_first = sorted(numbers, reverse=True)
    return [n for n in newest_first[keep:] if n != live]


def made_here(artifact: Artifact) -> bool:
    """True when every tag of it is one the Runner gives by itself, which no person relies on by name."""
    return bool(artifact.tags) and all(_COMMIT.fullmatch(t) for t in artifact.tags)


@dataclass(frozen=True, slots=True)
class Needed:
    """What must stay: digests of all apps' kept releases; tags of kept releases without a known digest."""

    digests: Collection[str] = ()
    tags: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """``delete``: manifests that may go, unless something that stays refers to them. ``stay``: what stays of the rest."""

    delete: frozenset[str] = field(default_factory=frozenset[str])
    stay: frozenset[str] = field(default_factory=frozenset[str])


def plan(retired: Collection[str], listed: Collection[Artifact], needed: Needed, *, everything: bool = False) -> Plan:
    """What may go of a repository.

    ``retired`` are the digests of its retired releases, ``listed`` what the registry says is there. Listed manifests
    that no release knows go only when the Runner made them (a deploy that failed after its push), or with
    ``everything`` (the app is deleted).
    """
    by_tag = {a.digest for a in listed if a.tags & set(needed.tags)}
    unknown = {a.digest for a in listed if everything or made_here(a)}
    stays = set(needed.digests) | by_tag
    delete = frozenset((set(retired) | unknown) - stays)
    present = {a.digest for a in listed} | stays
    return Plan(delete, frozenset(present - delete))


def spare_children(delete: frozenset[str], staying: Iterable[Artifact]) -> frozenset[str]:
    """An index keeps the manifests it refers to: without them it can't be pulled."""
    return delete - {child for a in staying for child in a.children}
