"""What doctor concludes from what it saw. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from funai.i18n.cli import phrase


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Works, or may not matter to you."""
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``mend`` is a command or a sentence; empty when nothing is wrong."""

    name: str
    level: Level
    detail: str
    mend: str = ""

    def to_json(self) -> dict[str, str]:
        return {
            "name": self.name,
            "level": str(self.level),
            "detail": self.detail,
            **({"mend": self.mend} if self.mend else {}),
        }


def worst(checks: Sequence[Check]) -> Level:
    levels = {c.level for c in checks}
    return Level.FAIL if Level.FAIL in levels else Level.WARN if Level.WARN in levels else Level.OK


def fingerprint(public_key: str) -> str | None:
    """OpenSSH's ``SHA256:…`` of a public key line; None when it is none."""
    import base64
    import hashlib

    words = public_key.split()
    if len(words) < 2:
        return None
    try:
        raw = base64.b64decode(words[1], validate=True)
    except ValueError:
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def engine_verdict(podman: str | None, docker: str | None, language: str = "en") -> Check:
    """The versions that answered, None for an engine that didn't."""
    if podman:
        return Check("engine", Level.OK, f"podman {podman}")
    if docker:
        return Check("engine", Level.OK, f"docker {docker}")
    return Check("engine", Level.FAIL, phrase("doc_no_engine", language), phrase("doc_no_engine_mend", language))


def port_verdict(name: str, port: int, taken: bool, language: str = "en") -> Check:
    """A taken port is fine while the platform runs, and in its way while it doesn't."""
    if taken:
        found, mend = phrase("doc_port_taken", language, name=name), phrase("doc_port_taken_mend", language)
        return Check(f"port {port}", Level.WARN, found, mend)
    return Check(f"port {port}", Level.OK, phrase("doc_port_free", language, name=name))
