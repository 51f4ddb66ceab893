"""The second driver: a Traefik that the operator runs. Chosen by ``gateway.driver``.

``traefik-file``: we write a folder that Traefik's file provider watches, one file an app. ``traefik-labels``: Traefik
reads the containers' labels; the containers themselves are the table, and there is nothing here to switch.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.routes import GatewayError, Route, RouteState
from funai.gateway.pages.server import PageServer
from funai.gateway.probe import GENERATION_HEADER, PROBE_HEADER, Answer, Prober, generation_of
from funai.gateway.settings import GatewaySettings
from funai.gateway.traefik import config as traefik

T = TypeVar("T")
_APP_FILE = re.compile(r"rt-app-([1-9][0-9]{0,18})\.yml")
_POLL = 0.05
BACK_SECONDS = 3.0
"""So long Traefik is waited for when a route goes back or ends, which must be done with or without it."""
_LOOK_AT = (
    "look at gateway.traefik-dir (the folder that its file provider watches), gateway.traefik-version (its rules' syntax), "
    "gateway.traefik-entrypoints and gateway.public-url"
)
_REDIRECTS = (301, 302, 307, 308)
_OWN_ANSWERS = {404: "404 page not found", 502: "Bad Gateway", 503: "no available server", 504: "Gateway Timeout"}
_OWN_BYTES = 200
READ_SECONDS = 6.0
"""How long Traefik may take to read a container's labels; less than an agent waits for a switch."""
"""What Traefik says when no app answered (plain text, v2 and v3)."""


class TraefikFileGateway:
    """A :class:`~funai.contracts.routes.RouteTable` as files. Their folder is the memory: a restart finds them.

    ``put`` returns when the public address shows the new generation, or fails after ``gateway.traefik-settle-seconds`` with
    the old route back in place.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        if settings.traefik_dir is None:
            raise GatewayError("gateway.traefik-dir is not set")
        self.settings, self._folder = settings, settings.traefik_dir
        self._pages = PageServer(settings.pages_host, settings.pages_port, retry_after=settings.retry_after_seconds)
        self._prober = Prober()
        self._options = traefik.FileOptions(settings.traefik_version, "", "")
        self._newest: dict[int, int] = {}
        """The generation of each app that Traefik showed last."""
        self._checking: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return self.settings.public_url.rstrip("/")

    @property
    def owner_headers(self) -> Mapping[str, str]:
        return {}

    @property
    def domains(self) -> None:
        """Names of apps' own are the operator's Traefik's matter."""

    @property
    def signs(self) -> None:
        """Routes are files."""

    @property
    def healthy(self) -> bool:
        """Files can't be lost by Traefik."""
        return True

    async def start(self, routes: Sequence[Route] | None = None) -> None:
        """Serve the pages and write what all apps share. ``routes``: exactly these. Raises GatewayError."""
        await self._pages.start()
        s = self.settings
        self._options = traefik.FileOptions(
            version=s.traefik_version,
            secret=await _on_disk(self._load_secret),
            pages_url=s.pages_url or f"http://{_bracketed(s.pages_host)}:{self._pages.port}",
            entrypoints=tuple(s.traefik_entrypoints),
            wildcard_domain=s.wildcard_domain,
        )
        common = _text(traefik.common_config(self._options))
        await _on_disk(lambda: self._write(traefik.COMMON_FILE, common))
        if routes is not None:
            await self.replace_all(routes)
        if s.traefik_settle_seconds:
            self._checking = asyncio.create_task(self._check(), name="traefik.check")

    async def put(self, route: Route) -> None:
        path = self._folder / traefik.file_name(route.app_id)
        before = await _on_disk(lambda: path.read_text(encoding="utf-8") if path.exists() else None)
        text = self._render(route)
        if before == text:
            return
        await _on_disk(lambda: self._write(path.name, text))
        settle = self.settings.traefik_settle_seconds
        if not settle or route.state is RouteState.STARTING:
            return
        if route.state is RouteState.STOPPED or route.generation < self._newest.get(route.app_id, 0):
            # A way back, or the end of what serves: whoever waits must not hang on an address that is dead.
            with suppress(GatewayError):
                await self._shown(route.app_id, traefik.said_by(route), min(settle, BACK_SECONDS))
            return
        try:
            await self._shown(route.app_id, traefik.said_by(route), settle)
        except GatewayError:
            await _on_disk(lambda: self._restore(path, before))
            raise
        self._newest[route.app_id] = route.generation

    async def _shown(self, app_id: int, said: str | None, seconds: float) -> None:
        """Wait until Traefik serves by the file, or with None by none. It is asked itself: a slow app is no reason to fail."""
        seen, token = "no answer", traefik.probe_token(self._options.secret, app_id)
        below = f"runtime/{app_id}" if app_id else "runtime"
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        url = f"{self.url}/{below}/{traefik.SHOWN_PATH}"
                        answer = await self._prober.ask(url, {PROBE_HEADER: token}, 5)
                        shown = answer.headers.get(GENERATION_HEADER)
                        if shown == said:
                            return
                        seen = shown or f"status {answer.status}"
                    except GatewayError as e:
                        seen = str(e)
                    await asyncio.sleep(_POLL)
        except TimeoutError as e:
            what = f"generation {said} of app {app_id}" if app_id else "this folder's files"
            raise GatewayError(f"Traefik does not show {what}: {seen}; {_LOOK_AT}") from e

    async def _check(self) -> None:
        """Whether Traefik watches the folder and understands our rules, said at the start and by the settings' names."""
        try:
            await self._shown(traefik.COMMON_ID, str(self.settings.traefik_version), self.settings.traefik_settle_seconds)
        except GatewayError as e:
            log.get("gateway").error("traefik.not_seen", folder=str(self._folder), url=self.url, why=str(e))

    async def remove(self, app_id: int) -> None:
        path = self._folder / traefik.file_name(app_id)
        there = await _on_disk(path.exists)
        await _on_disk(lambda: path.unlink(missing_ok=True))
        if there and (settle := self.settings.traefik_settle_seconds):
            with suppress(GatewayError):
                await self._shown(app_id, None, min(settle, BACK_SECONDS))

    async def replace_all(self, routes: Sequence[Route]) -> None:
        texts = {traefik.file_name(r.app_id): self._render(r) for r in routes}

        def sync() -> None:
            for path in self._folder.iterdir():
                if _APP_FILE.fullmatch(path.name) and path.name not in texts:
                    path.unlink(missing_ok=True)
            for name, text in texts.items():
                self._write(name, text)

        await _on_disk(sync)

    async def serving_generation(self, app_id: int, path: str, *, timeout: float) -> tuple[int, int]:
        token = traefik.probe_token(self._options.secret, app_id)
        response = await self._prober.ask(f"{self.url}/runtime/{app_id}/{path.lstrip('/')}", {PROBE_HEADER: token}, timeout)
        return response.status, generation_of(response)

    async def connections(self, host: str, port: int) -> int | None:  # noqa: ARG002 - Traefik does not tell
        return None

    async def close(self) -> None:
        """Stop the pages; the routes stay. Idempotent."""
        if self._checking:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        await self._pages.close()
        await self._prober.aclose()

    async def stop(self, grace: float = 10.0) -> None:  # noqa: ARG002 - Traefik is not ours to stop
        await self.close()

    def _render(self, route: Route) -> str:
        if route.state is RouteState.SERVING:
            try:
                ipaddress.ip_address(route.host)
            except ValueError as e:
                raise GatewayError(f"app {route.app_id}: {route.host!r} is not an address") from e
        return _text(traefik.route_config(route, self._options))

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            # Traefik may run as another user, and these hold no more than a probe token.
            write_whole(path, text, 0o644)

    def _restore(self, path: Path, before: str | None) -> None:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            self._write(path.name, before)

    def _load_secret(self) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.settings.probe_secret is not None:
            return self.settings.probe_secret.get_secret_value()
        file = self.settings.data_dir / "probe.secret"
        if file.exists() and (kept := file.read_text().strip()):
            return kept
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = secrets.token_urlsafe(32)
        write_whole(file, made + "\n")
        return made


async def _on_disk(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as e:
        raise GatewayError(f"gateway.traefik-dir can't be used: {e}") from e


def _text(config: dict[str, object]) -> str:
    """JSON, which YAML includes: Traefik takes it by the file's ending."""
    return json.dumps(config, indent=1) + "\n"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _to_https(url: str, answer: Answer) -> str | None:
    """Where an entry point sends plain HTTP: the same address with HTTPS."""
    location: str = answer.headers.get("location", "")
    asked, sent = urlsplit(url), urlsplit(location)
    same = (sent.hostname, sent.path) == (asked.hostname, asked.path) and sent.scheme == "https" != asked.scheme
    return sent.geturl() if answer.status in _REDIRECTS and same else None


class TraefikSigns:
    """:class:`~funai.contracts.routes.Signs` in Traefik's words. ``ask`` gets a path of the public address."""

    def __init__(self, settings: GatewaySettings, ask: Callable[[str, float], Awaitable[Answer]]) -> None:
        self._settings, self._ask = settings, ask

    def labels(self, route: Route, rank: int, network: str = "") -> Mapping[str, str]:
        s = self._settings
        return traefik.signpost(
            route, rank, network=network, entrypoints=s.traefik_entrypoints, wildcard_domain=s.wildcard_domain
        )

    async def shown(self, app_id: int, generation: int, *, there: bool) -> bool:
        path = traefik.signpost_path(app_id, generation)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(READ_SECONDS, self._settings.traefik_settle_seconds)):
                while True:
                    with suppress(GatewayError):
                        if _says_shown(await self._ask(path, READ_SECONDS)) is there:
                            return True
                    await asyncio.sleep(_POLL)
        return False


def _says_shown(answer: Answer) -> bool:
    return answer.status in _REDIRECTS and str(answer.headers.get("location", "")).endswith(f"/{traefik.SHOWN_AT}")


class TraefikLabelsGateway:
    """A :class:`~funai.contracts.routes.RouteTable` that only remembers: containers carry ``traefik.labels(...)``, and
    Traefik switches when one comes or goes. While two generations overlap it serves both.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self._prober = Prober()
        self._routes: dict[int, Route] = {}
        self._asked: dict[int, tuple[int, float]] = {}
        """The generation of each app that was asked for last, and when first."""

    @property
    def url(self) -> str:
        return self.settings.public_url.rstrip("/")

    @property
    def owner_headers(self) -> Mapping[str, str]:
        return {}

    @property
    def domains(self) -> None:
        """Names of apps' own are the operator's Traefik's matter."""

    @property
    def signs(self) -> TraefikSigns:
        return TraefikSigns(self.settings, self._ask)

    @property
    def healthy(self) -> bool:
        return True

    async def start(self, routes: Sequence[Route] | None = None) -> None:
        await self.replace_all(routes or [])

    async def put(self, route: Route) -> None:
        self._routes[route.app_id] = route

    async def remove(self, app_id: int) -> None:
        self._routes.pop(app_id, None)
        self._asked.pop(app_id, None)

    async def replace_all(self, routes: Sequence[Route]) -> None:
        self._routes = {r.app_id: r for r in routes}

    async def serving_generation(self, app_id: int, path: str, *, timeout: float) -> tuple[int, int]:
        """As well as labels allow: an answer that is not Traefik's own counts as the generation last put, once Traefik has read
        that container's labels. Those of older agents don't show that: after ``READ_SECONDS`` they count too.
        """
        if (route := self._routes.get(app_id)) and not await self._read(route, timeout):
            return 503, 0
        response = await self._ask(f"/runtime/{app_id}/{path.lstrip('/')}", timeout)
        route = self._routes.get(app_id)
        own = _OWN_ANSWERS.get(response.status)
        if route is None or (own is not None and response.body.decode("latin-1").strip() == own):
            return response.status, 0
        return response.status, route.generation

    async def _ask(self, path: str, timeout: float) -> Answer:
        url = f"{self.url}{path}"
        answer = await self._prober.ask(url, {}, timeout, body=_OWN_BYTES)
        if secure := _to_https(url, answer):  # the entry point's own answer, whatever the app is
            answer = await self._prober.ask(secure, {}, timeout, body=_OWN_BYTES)
        return answer

    async def _read(self, route: Route, timeout: float) -> bool:
        now = time.monotonic()
        generation, since = self._asked.get(route.app_id, (-1, now))
        if generation != route.generation:
            since = now
        self._asked[route.app_id] = (route.generation, since)
        if now - since >= min(READ_SECONDS, self.settings.traefik_settle_seconds):
            return True
        answer = await self._ask(traefik.shown_path(route.app_id, route.generation), timeout)
        return _says_shown(answer)

    async def connections(self, host: str, port: int) -> int | None:  # noqa: ARG002
        return None

    async def close(self) -> None:
        await self._prober.aclose()

    async def stop(self, grace: float = 10.0) -> None:  # noqa: ARG002
        await self.close()
