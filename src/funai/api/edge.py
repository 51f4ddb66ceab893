"""What every route needs: the process's parts, the signed-in caller, bounded parameters."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from funai.api.accounts.callers import Caller
from funai.api.services import Core
from funai.base.http.guards import client_address
from funai.contracts.compat import JobRef
from funai.contracts.errors import Unauthenticated
from funai.contracts.wire import MAX_ID, Envelope, Wire

PREFIX = "/api/fun-ai"
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="The token that login answers")
_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="The key that PUT /user/api-key answers")


class Refusal(Wire):
    """What every error answers; the HTTP status equals ``code``."""

    code: int
    message: str
    data: None = None
    reason: str
    """A word for machines that does not change."""
    trace_id: str | None = None


ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {"model": Refusal, "description": "Refused, or failed: `reason` says why"}
}


def answers(model: Any) -> dict[str, Any]:
    """Route options: what ``data`` holds. Unset fields are left out of the answer."""
    return {"response_model": Envelope[model], "response_model_exclude_unset": True}


def core_of(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


Services = Annotated[Core, Depends(core_of)]


async def caller_of(
    core: Services,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    api_key: Annotated[str | None, Depends(_api_key)],
) -> Caller:
    """The signed-in user; a token wins over an API key. Raises Unauthenticated."""
    if bearer is not None:
        return await core.accounts.by_token(bearer.credentials)
    if api_key:
        return await core.accounts.by_api_key(api_key)
    raise Unauthenticated()


async def admin_of(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
    """The signed-in admin. Raises Unauthenticated, Forbidden."""
    caller.must_be_admin()
    return caller


def address_of(request: Request, core: Services) -> str:
    return client_address(request, core.trusted)


CurrentUser = Annotated[Caller, Depends(caller_of)]
Admin = Annotated[Caller, Depends(admin_of)]
Address = Annotated[str, Depends(address_of)]
UserId = Annotated[
    int | None, Query(alias="userId", description="Whose; the caller's own unless an admin names another", ge=1, le=MAX_ID)
]
AppId = Annotated[int, Query(alias="appId", description="The app", ge=1, le=MAX_ID)]
JobId = Annotated[JobRef, Query(alias="jobId", description="The job: its number, or the text id that it had before")]
IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="Repeat a request safely: the same key answers the same job")
]
