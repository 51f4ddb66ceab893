"""Push events of Gitea and Forgejo: whether the signature holds, and which repository was pushed to. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from funai.api.repos.gitea import TEMPLATE_MESSAGE
from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason

PUSH_PATH = "/api/fun-ai/internal/git/gitea"
"""Where Gitea tells of pushes."""
SIGNATURES = ("x-forgejo-signature", "x-gitea-signature")
EVENTS = ("x-forgejo-event", "x-gitea-event")


def signed(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the first signature header is the HMAC-SHA256 of the body, in hexadecimal."""
    given = next((headers[name] for name in SIGNATURES if name in headers), "")
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(given.lower().encode("latin-1", "replace"), wanted.encode())


def pushed_repo(body: bytes, headers: Mapping[str, str]) -> str | None:
    """``owner/name`` of the repository whose owner pushed commits to a branch; None for any other event. Raises BadInput."""
    if next((headers[name] for name in EVENTS if name in headers), "") != "push":
        return None
    try:
        event: Any = json.loads(body)
    except ValueError as e:
        raise BadInput(Reason.BAD_JSON) from e
    if not isinstance(event, dict):
        raise BadInput(Reason.BAD_JSON)
    return _of_event(event)  # pyright: ignore[reportUnknownArgumentType]


def _of_event(event: dict[str, Any]) -> str | None:
    after = event.get("after")
    if not str(event.get("ref", "")).startswith("refs/heads/") or not isinstance(after, str) or not after.strip("0"):
        return None  # a tag, or a branch that was deleted
    commits: list[Any] = event["commits"] if isinstance(event.get("commits"), list) else []
    messages = [str(c.get("message", "")).strip() for c in commits if isinstance(c, dict)]  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    if messages and all(m == TEMPLATE_MESSAGE for m in messages):
        return None
    repository: Any = event.get("repository")
    name = repository.get("full_name") if isinstance(repository, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return name if isinstance(name, str) else None
