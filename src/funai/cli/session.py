"""One run of a verb: who calls whom, in which language and form, and how an error leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from funai.base.home import home
from funai.cli.exits import Exit
from funai.cli.output.output import Output
from funai.cli.project import profile
from funai.i18n.language import pick

if TYPE_CHECKING:
    import httpx

    from funai.base.clients.api import ApiClient
    from funai.base.proxies import Proxies


class Refused(Exception):
    """The command line itself refuses: a message for people, the exit status, and the next step if there is one."""

    def __init__(
        self, message: str, exit_code: Exit = Exit.USAGE, *, reason: str | None = None, hint: str | None = None
    ) -> None:
        self.message, self.exit_code, self.reason, self.hint = message, exit_code, reason, hint
        super().__init__(message)


class Ended(Exception):
    """The verb has said all it has to say and ends with this exit status."""

    def __init__(self, exit_code: Exit) -> None:
        self.exit_code = exit_code
        super().__init__(str(exit_code))


class Session:
    """Made for each verb by :func:`funai.cli.verb.verb`. Nothing is read or opened before it is asked for."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        server: str | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self._cwd = cwd
        self.language = pick(self.environ)
        self.out = Output(as_json=as_json, language=self.language)
        self.known: dict[str, object] = {}
        """Fills the placeholders of hints: ``app``, ``job``."""
        self.on_interrupt: Callable[[], None] | None = None
        """Says what goes on without us, when Ctrl-C ends the verb."""
        self.trace_id = os.urandom(8).hex()
        """Goes with every call, so that an operator finds them in the logs."""
        self._server, self._http = server, http
        self._api: ApiClient | None = None
        self._user_id: int | None = None

    @property
    def say(self) -> Callable[..., str]:
        return self.out.say

    @property
    def cwd(self) -> Path:
        """Raises Refused when the folder one is in was removed."""
        try:
            return self._cwd or Path.cwd()
        except FileNotFoundError as e:
            raise Refused(self.say("no_folder")) from e

    @property
    def config_file(self) -> Path | None:
        """Where logins are remembered; None for an account without a home."""
        return profile.config_file(self.environ)

    @property
    def ssh_folder(self) -> Path:
        """Where SSH keys are. Raises Refused for an account without a home."""
        found = home(self.environ)
        if found is None:
            raise Refused(self.say("no_home"))
        return found / ".ssh"

    @cached_property
    def profile(self) -> profile.Profile:
        return profile.load(self.config_file)

    @cached_property
    def access(self) -> profile.Access:
        """Raises ConfigError when the server's address or the file can't be used."""
        found = profile.access(self.profile, self.environ, self._server)
        self.known["server"] = found.server
        return found

    @cached_property
    def proxies(self) -> Proxies:
        """Raises ConfigError for a proxy variable that can't be used."""
        from funai.base.proxies import read

        return read(self.environ)

    @property
    def api(self) -> ApiClient:
        """The API with whatever login there is; the API itself refuses who has none."""
        if self._api is None:
            self._api = self.client(self.access.headers())
        return self._api

    def client(self, headers: Mapping[str, str]) -> ApiClient:
        """A client of the session's server with other credentials. The caller closes it."""
        from funai.base.clients.api import ApiClient

        headers = {**headers, "Accept-Language": self.language, "X-Trace-Id": self.trace_id}
        return ApiClient(self.access.server, headers, http=self._http, proxies=self.proxies)

    async def user_id(self) -> int:
        """The caller's id: as remembered at login, else asked for."""
        if self._user_id is None:
            login = None if self.access.api_key else self.access.login
            self._user_id = login.user_id if login else (await self.api.me()).id
        return self._user_id

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()
