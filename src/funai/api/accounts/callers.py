"""Who calls: from ``Authorization: Bearer`` or ``X-API-Key`` to a Caller, or 401."""

from __future__ import annotations

from dataclasses import dataclass

from funai.contracts.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user."""

    id: int
    user_name: str
    admin: bool

    def acting_for(self, user_id: int | None) -> int:
        """The user a call is about: the caller, or whom an admin names. Raises Forbidden."""
        if user_id is None or user_id == self.id:
            return self.id
        if not self.admin:
            raise Forbidden()
        return user_id

    def must_be_admin(self) -> None:
        """Raises Forbidden."""
        if not self.admin:
            raise Forbidden()
