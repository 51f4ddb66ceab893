"""Plans and judgements in one line, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping

from funai.contracts.errors import BadInput
from funai.dockerfile.emit import Base, emit
from funai.dockerfile.images import Allowed
from funai.dockerfile.rules import problems
from funai.dockerfile.stages import Plan, Platform, read_plan

REGISTRY = "127.0.0.1:5000"
OWN = f"{REGISTRY}/funai/u2-app2"
THEIRS = f"{REGISTRY}/funai/u1-app1"
MAY = Allowed((REGISTRY,), OWN)
AMD64 = Platform()


def plan(text: str, args: Mapping[str, str] | None = None) -> Plan:
    return read_plan(text, args=args, platform=AMD64)


def errors(text: str, args: Mapping[str, str] | None = None, may: Allowed = MAY) -> list[str]:
    """What a job would refuse, with the line in front."""
    try:
        found = problems(plan(text, args), may, AMD64)
    except BadInput as e:
        return [e.message("en").removeprefix("bad request: ")]
    return [f"line {p.line}: {p.words.en}" for p in found if p.error]


def written(text: str, bases: Mapping[str, Base] | None = None, args: Mapping[str, str] | None = None) -> list[str]:
    """The lines that the engine gets."""
    return emit(plan(text, args), bases or {}).text.splitlines()
