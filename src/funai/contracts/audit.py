"""The audit trail of people: what was done, by whom, when and from where. Values, keys and passwords are never in it."""

from __future__ import annotations

from enum import StrEnum

from funai.contracts.wire import Instant, Wire


class AuditAction(StrEnum):
    """What a person did. A word is written into the trail once and keeps its meaning."""

    SIGNED_UP = "SIGNED_UP"
    SIGNED_IN = "SIGNED_IN"
    SIGN_IN_REFUSED = "SIGN_IN_REFUSED"
    """A wrong name or password, or a disabled account. ``actorName`` is what was typed, when it could be a name."""
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - a word, no secret
    PASSWORD_SET = "PASSWORD_SET"  # noqa: S105 - a word, no secret
    """By an admin, for another user."""
    API_KEY_RENEWED = "API_KEY_RENEWED"
    SSH_KEY_ADDED = "SSH_KEY_ADDED"
    """``target`` is the key's fingerprint."""
    SSH_KEY_REMOVED = "SSH_KEY_REMOVED"
    """``target`` is the key's id."""
    APP_CREATED = "APP_CREATED"
    APP_DELETED = "APP_DELETED"
    APP_STOPPED = "APP_STOPPED"
    APP_STARTED = "APP_STARTED"
    APP_ROLLED_BACK = "APP_ROLLED_BACK"
    VARIABLES_SET = "VARIABLES_SET"
    """``detail`` is the variables' names."""
    VARIABLES_REMOVED = "VARIABLES_REMOVED"
    DOMAIN_ADDED = "DOMAIN_ADDED"
    DOMAIN_REMOVED = "DOMAIN_REMOVED"
    DATABASE_CREATED = "DATABASE_CREATED"
    DATABASE_ADDRESS_SHOWN = "DATABASE_ADDRESS_SHOWN"
    DATABASE_PASSWORD_CHANGED = "DATABASE_PASSWORD_CHANGED"  # noqa: S105 - a word, no secret
    DATABASE_DROPPED = "DATABASE_DROPPED"
    DATABASE_RESTORED = "DATABASE_RESTORED"
    USER_DISABLED = "USER_DISABLED"
    USER_ENABLED = "USER_ENABLED"
    GIT_ACCOUNT_LINKED = "GIT_ACCOUNT_LINKED"
    APP_DISABLED = "APP_DISABLED"
    APP_ENABLED = "APP_ENABLED"
    APP_MOVED = "APP_MOVED"
    NODE_SAVED = "NODE_SAVED"
    NODE_ENABLED = "NODE_ENABLED"
    NODE_DISABLED = "NODE_DISABLED"
    NODE_REMOVED = "NODE_REMOVED"
    NODE_DRAINED = "NODE_DRAINED"
    DRAIN_CANCELLED = "DRAIN_CANCELLED"
    CREDENTIAL_CREATED = "CREDENTIAL_CREATED"
    CREDENTIAL_REVOKED = "CREDENTIAL_REVOKED"
    JOIN_TOKEN_CREATED = "JOIN_TOKEN_CREATED"  # noqa: S105 - a word, no secret
    ORPHANS_DELETED = "ORPHANS_DELETED"


class AuditEntry(Wire):
    """One action of a person. ``userId`` and ``appId`` are whose account and which app it was about."""

    id: int
    at: Instant
    action: str
    actor_id: int | None = None
    """Absent: not signed in."""
    actor_name: str = ""
    admin: bool = False
    """Whether the actor was an admin then."""
    user_id: int | None = None
    app_id: int | None = None
    target: str = ""
    """The name of what was acted on: an app, a node, a domain, a user."""
    detail: str = ""
    address: str = ""
    """Where the request came from, as the API sees it behind its trusted proxies."""
    trace_id: str | None = None
