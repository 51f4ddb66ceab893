"""What routes write into the audit trail with: the request's address is known to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from funai.api.audit.trail import Actor, AuditTrail
from funai.api.edge import Address, Services
from funai.contracts import rules
from funai.contracts.audit import AuditAction
from funai.contracts.errors import BadInput


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes one request's entries. Routes call it after the action has succeeded."""

    trail: AuditTrail
    address: str

    async def __call__(
        self,
        action: AuditAction,
        actor: Actor,
        *,
        user_id: int | None = None,
        app_id: int | None = None,
        target: str = "",
        detail: str = "",
    ) -> None:
        await self.trail.write(action, actor, self.address, user_id=user_id, app_id=app_id, target=target, detail=detail)

    async def refused_sign_in(self, typed: str, reason: str) -> None:
        """``typed`` is kept only when it could be a user's name: a password lands in the wrong field now and then."""
        try:
            name = rules.check_user_name(typed)
        except BadInput:
            name = ""
        await self.trail.write(AuditAction.SIGN_IN_REFUSED, None, self.address, name=name, detail=reason)


async def recorder_of(core: Services, address: Address) -> Recorder:
    return Recorder(core.audit, address)


Audit = Annotated[Recorder, Depends(recorder_of)]
