"""What the form pages share: redirects after a change, and refusals shown on the page that the form is on."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Path
from starlette.responses import RedirectResponse

from funai.contracts.wire import MAX_ID

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
SEE_OTHER = 303
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Of answers that last: nothing between holds them back."""


def see(path: str, *, done: str | None = None) -> RedirectResponse:
    """Redirect to a page after a change; ``done`` names the catalogue's word on what was done."""
    return RedirectResponse(f"{path}?{urlencode({'done': done})}" if done else path, status_code=SEE_OTHER)


def app_path(owner: int, app_id: int, rest: str = "") -> str:
    """The address of one of an app's pages."""
    return f"/users/{owner}/apps/{app_id}{rest}"
