"""What all groups of the API's calls stand on."""

from __future__ import annotations

from funai.base.clients.transport import Transport

BASE = "/api/fun-ai"


class Calls:
    transport: Transport


def owned(user_id: int, app_id: int) -> dict[str, int]:
    """The parameters that name a user's app."""
    return {"userId": user_id, "appId": app_id}
