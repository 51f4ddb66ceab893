"""Calling Deploy: switched off, unreachable and refused become errors that a caller of the API understands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from funai.api.settings import ApiSettings
from funai.base.clients.deploy import DeployClient, OldIds
from funai.base.clients.transport import Unreachable
from funai.base.http.app import language
from funai.contracts.errors import CalleeFailed, FunaiError, Unavailable
from funai.contracts.reasons import Reason


class OutcomeUnknown(CalleeFailed):
    """Deploy was asked, and whether it acted is not known. ``over``: it answered, so nothing more comes of the request.

    A 503 (``code``) tells no more than a lost answer does: Deploy's database may have gone in the middle of a COMMIT.
    """

    def __init__(self, answered: FunaiError | None = None) -> None:
        super().__init__(Reason.DEPLOY_UNREACHABLE, text=answered and answered.message(language()))
        if answered is not None:
            self.reason = answered.reason
        self.code = Unavailable.code if isinstance(answered, Unavailable) else CalleeFailed.code
        self.over = answered is not None


class DeployClientPool:
    """The Deploy client, when deploying is switched on. ``http`` lets tests plug in an ASGI transport."""

    def __init__(self, settings: ApiSettings, http: httpx.AsyncBaseTransport | None, old_ids: OldIds | None = None) -> None:
        self.list_seconds = settings.deploy_list_timeout_ms / 1000
        self.read_seconds = settings.deploy_read_timeout_ms / 1000
        self.admin_token = settings.deploy_admin_token.get_secret_value() if settings.deploy_admin_token else None
        self._client: DeployClient | None = None
        self._followers: DeployClient | None = None
        if settings.deploy_enabled and settings.deploy_secret:
            secret = settings.deploy_secret.get_secret_value()
            self._client = DeployClient(settings.deploy_base_url, secret, timeout=self.read_seconds, http=http, old_ids=old_ids)
            # Followed logs hold their connections for long; `StreamLimiter` limits them, and they use up no other call's.
            self._followers = DeployClient(
                settings.deploy_base_url, secret, timeout=self.read_seconds, http=http, connections=None, old_ids=old_ids
            )
            for client in (self._client, self._followers):
                client.transport.raw.event_hooks = {"request": [_speak]}

    @property
    def client(self) -> DeployClient:
        """Raises Unavailable DEPLOY_DISABLED."""
        if self._client is None:
            raise Unavailable(Reason.DEPLOY_DISABLED)
        return self._client

    @property
    def followers(self) -> DeployClient:
        """The client for long calls. Raises Unavailable DEPLOY_DISABLED."""
        if self._followers is None:
            raise Unavailable(Reason.DEPLOY_DISABLED)
        return self._followers

    @property
    def enabled(self) -> bool:
        return self._client is not None

    @contextmanager
    def asking(self, *, long: bool = False) -> Iterator[DeployClient]:
        """Use the client (``long``: the one for long calls); its errors come out as the caller's.

        Raises Unavailable DEPLOY_DISABLED, OutcomeUnknown when the request was sent and no usable answer came,
        CalleeFailed, or what Deploy itself refused (400, 404, 409, 413, 429).
        """
        client = self.followers if long else self.client
        try:
            yield client
        except Unreachable as e:
            raise (OutcomeUnknown() if e.sent else CalleeFailed(Reason.DEPLOY_UNREACHABLE)) from e
        except FunaiError as e:
            if e.code == 401 or e.reason in (Reason.FORBIDDEN, Reason.IP_FORBIDDEN):
                # Our own secret was refused: to the caller that is no reason to log in again.
                raise CalleeFailed(service="deploy", detail=e.reason) from e
            if e.code >= 500:
                raise OutcomeUnknown(e) from e
            raise

    async def close(self) -> None:
        for client in (self._client, self._followers):
            if client:
                await client.close()


async def _speak(request: httpx.Request) -> None:
    """Deploy's own words reach the person who asked: in their language."""
    request.headers["Accept-Language"] = language()
