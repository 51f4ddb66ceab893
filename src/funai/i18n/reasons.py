"""Messages for people by reason, in Chinese (default) and English. Placeholders are ``str.format`` fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from funai.i18n import nodes
from funai.i18n.messages import databases, domains, failures, refusals, rollouts


@dataclass(frozen=True, slots=True)
class Words:
    """A placeholder's value that is itself words for people, in both languages."""

    zh: str
    en: str


MESSAGES: dict[str, tuple[str, str]] = {
    **refusals.REFUSALS,
    **domains.DOMAINS,
    **nodes.REASONS,
    **rollouts.ROLLOUTS,
    **databases.DATABASES,
    **failures.FAILURES,
}
"""By :class:`Reason`; looked up by text, since another process may know words that this one doesn't."""


def render(reason: str, language: str, params: Mapping[str, object]) -> str:
    """The catalogue's message; an unknown reason is its own message, a missing parameter shows as its name."""
    entry = MESSAGES.get(reason)
    if entry is None:
        return str(params.get("detail", reason))
    english = language == "en"
    filled = {k: (v.en if english else v.zh) if isinstance(v, Words) else v for k, v in params.items()}
    return entry[1 if english else 0].format_map(_Lenient(filled))


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"
