"""Secrets out of text that people will read."""

from __future__ import annotations

from collections.abc import Iterable

MASK = "**********"
MIN_SECRET = 6
"""Shorter values are too likely to be ordinary words: masking them would shred a log."""


class Redactor:
    """Replaces whole secrets, line by line of multi-line ones."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part.strip() for secret in secrets for part in secret.splitlines()}
        self._secrets = sorted((p for p in parts if len(p) >= MIN_SECRET), key=len, reverse=True)
        self.longest = max((len(s) for s in self._secrets), default=0)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text
