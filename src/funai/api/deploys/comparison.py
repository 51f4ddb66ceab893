"""Which variables changed from one release to another: names, never values."""

from __future__ import annotations

from funai.api.apps.variables import Variables
from funai.base.clients.deploy import DeployClient
from funai.base.config.sealing import SealBroken
from funai.contracts.apps.variables import changes
from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.contracts.jobs import VariableChange
from funai.contracts.reasons import Reason


async def changed_variables(
    deploy: DeployClient, variables: Variables, app_id: int, old: int, new: int
) -> list[VariableChange] | None:
    """By name. None where they are unknown: a Deploy service without the call, or sealed variables without their key.

    Raises NotFound RELEASE_NOT_FOUND.
    """
    try:
        sealed = [await deploy.sealed_variables(app_id, number) for number in (old, new)]
    except (NotFound, BadInput) as e:
        if e.reason == Reason.RELEASE_NOT_FOUND:
            raise
        return None
    try:
        before, after = (variables.sealer.open(text) if text else {} for text in sealed)
    except (Conflict, SealBroken):
        return None
    return [VariableChange(name=name, change=change) for name, change in changes(before, after).items()]
