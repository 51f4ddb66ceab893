"""The embedded gateway: a HAProxy of our own, whose routes are entries of one map.

Lifecycle: :meth:`HaproxyGateway.start` → routes → :meth:`~HaproxyGateway.close` (HAProxy goes on serving, the next owner
adopts it) or :meth:`~HaproxyGateway.stop` (drained and ended).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from prometheus_client import CollectorRegistry

from funai.base.observability import log
from funai.base.process.daemon import Daemon
from funai.contracts.apps.domains import Domains
from funai.contracts.errors import ConfigError
from funai.contracts.routes import GatewayError, Route, RouteState
from funai.gateway.domains.keeper import DomainKeeper, Pace, lookup_of
from funai.gateway.haproxy import config as haproxy_config
from funai.gateway.haproxy import routemap
from funai.gateway.haproxy.access_log import AccessLog, RotatedFile
from funai.gateway.haproxy.certificates import ProxyCertificates
from funai.gateway.haproxy.config import NODE, Design
from funai.gateway.haproxy.files import HaproxyFiles
from funai.gateway.haproxy.host_map import HostMap
from funai.gateway.haproxy.process import HaproxyProcess
from funai.gateway.haproxy.route_sync import RouteKeeper
from funai.gateway.haproxy.rules.shares import INFLIGHT_TABLE
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError
from funai.gateway.haproxy.supervisor import ProxyLife
from funai.gateway.metrics import CertificateMetrics, GatewayMetrics, Watch
from funai.gateway.probe import PROBE_HEADER, Prober, generation_of, local_url
from funai.gateway.settings import GatewaySettings


class HaproxyGateway:
    """A :class:`~funai.contracts.routes.RouteTable` on HAProxy. Make it inside a running event loop."""

    def __init__(
        self,
        settings: GatewaySettings,
        registry: CollectorRegistry | None = None,
        watch: Watch | None = None,
        *,
        public_url: str = "",
        pace: Pace | None = None,
        design: Design = NODE,
    ) -> None:
        self.settings = settings
        registry = registry or CollectorRegistry()
        self.metrics = GatewayMetrics(registry, max_apps=settings.metrics_max_apps, watch=watch)
        files = self._files = HaproxyFiles(settings, design)
        if settings.https_port:
            CertificateMetrics(registry, files.certificates.ends)
        self._api = RuntimeApi(files.paths.admin_socket)
        self._routes = RouteKeeper(self._api, files.map_file, files.boot)
        self._certificates = ProxyCertificates(self._api, files, self._routes.lock)
        self._hosts = HostMap(self._api, files.hosts_file, self._routes.lock)
        self._prober = Prober()
        file = RotatedFile(files.root / "access.log", settings.access_log_max_bytes, settings.access_log_keep)
        self._access = AccessLog(files.paths.log_pipe, file if settings.access_log else None, self.metrics.count)
        self._public_url, self._pace = public_url, pace
        self._domains: DomainKeeper | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._life: ProxyLife | None = None
        self._keeper: Daemon | None = None
        self.adopted = False
        """True when ``start`` found a proxy running and went on with it."""

    @property
    def url(self) -> str:
        """The public address as a process on this machine reaches it."""
        return local_url(self.settings.host, self.settings.port)

    @property
    def owner_headers(self) -> Mapping[str, str]:
        return {PROBE_HEADER: self._files.secret}

    @property
    def pid(self) -> int:
        """The proxy that takes new connections; 0 while there is none."""
        return self._life.pid if self._life else 0

    @property
    def healthy(self) -> bool:
        """The proxy runs and holds the table we want."""
        return self._life is not None and self._life.alive and self._routes.certain

    async def start(self, routes: Sequence[Route] | None = None) -> None:
        """Serve. A proxy that runs already is adopted when its configuration is the same, else replaced seamlessly.

        ``routes``: exactly these. None: those the running proxy has, or those last written to disk (after a reboot
        their apps are STARTING until ``replace_all``). Raises GatewayError that says what to fix.
        """
        await self._files.hold()
        try:
            await self._open(routes)
        except BaseException:
            await self._let_go()
            raise

    async def _open(self, routes: Sequence[Route] | None) -> None:
        process = self._files.process()
        change = await asyncio.to_thread(self._files.prepare, await process.version())
        self._certificates.complain(change)
        self._access.start()
        running = await process.find()
        self._routes.begin(await self._first_entries(routes, running is not None))
        life = ProxyLife(process, self._routes, self.metrics, haproxy_config.listeners(self.settings), self._own)
        if running is None:
            await life.start("first")
            self._certificates.started()
        elif running.identity == self._files.identity:
            await life.adopt(running)
            await self._certificates.adopted()
            self.adopted = True
        else:
            await life.replace(running.pid)
            self._certificates.started()
        self._life = life
        await self._start_keeper(process)
        self._own(self._routes.keep_file(), "gateway:route-file")
        self._own(self._routes.mend(), "gateway:mend")
        if self.settings.https_port:
            self._own(self._certificates.follow(life), "gateway:certificates")
        self._domains = self._keeper_of_domains()
        self._own(self._domains.run(), "gateway:domains")

    async def _start_keeper(self, process: HaproxyProcess) -> None:
        """The keeper for this HAProxy, and watched; without one the gateway serves as well as before."""
        if not self.settings.keeper:
            return
        self._keeper = process.keeper()
        try:
            await self._keeper.ensure()
        except ConfigError as e:
            log.get("gateway").error("gateway.keeper_failed", error=str(e))
            return
        self._own(self._keeper.watch(asyncio.Event()), "gateway:keeper")

    async def _first_entries(self, routes: Sequence[Route] | None, running: bool) -> dict[str, str]:
        if routes is not None:
            return _entries(await _resolved(routes))
        if not running:
            return _entries(self._files.stored_routes())
        try:
            live = await self._routes.read_live()
        except RuntimeApiError as e:
            raise GatewayError(str(e)) from e
        return _entries(r for key, value in live.items() if (r := routemap.parse_entry(key, value)))

    # -- routes -----------------------------------------------------------------------------------------------------

    async def put(self, route: Route) -> None:
        await self._change(dict(_entries(await _resolved([route]))))

    async def remove(self, app_id: int) -> None:
        await self._change({routemap.key_of(app_id): None})
        self.metrics.forget(app_id)

    async def replace_all(self, routes: Sequence[Route]) -> None:
        await self._change(dict(_entries(await _resolved(routes))), whole=True)

    async def _change(self, entries: dict[str, str | None], *, whole: bool = False) -> None:
        try:
            await self._routes.change(entries, whole=whole)
        except GatewayError:
            self.metrics.changes.labels("failed").inc()
            raise
        self.metrics.changes.labels("done").inc()

    # -- what the owner may ask -------------------------------------------------------------------------------------

    async def serving_generation(self, app_id: int, path: str, *, timeout: float) -> tuple[int, int]:
        url = f"{self.url}/runtime/{app_id}/{path.lstrip('/')}"
        response = await self._prober.ask(url, {PROBE_HEADER: self._files.secret}, timeout)
        return response.status, generation_of(response)

    async def connections(self, host: str, port: int) -> int | None:
        key = f"{await _address(host)}/{port}"
        try:
            answer = await self._api.ask(f"show table {INFLIGHT_TABLE} key {key}")
        except RuntimeApiError as e:
            raise GatewayError(str(e)) from e
        # The open requests of a replaced process can't be asked: it counts as one.
        return _conn_cur(answer) + (self._life.draining if self._life else 0)

    # -- names of apps' own -----------------------------------------------------------------------------------------

    @property
    def signs(self) -> None:
        """Routes are a map's entries."""

    @property
    def domains(self) -> Domains | None:
        """None until it is started."""
        return self._domains

    def _keeper_of_domains(self) -> DomainKeeper:
        lookup, authority = lookup_of(self.settings, self._public_url), self._files.authority()
        return DomainKeeper(
            self.settings, self._files.records, self, lookup, authority, public_url=self._public_url, pace=self._pace
        )

    async def route(self, hosts: dict[str, str]) -> None:
        await self._hosts.set(hosts)

    async def certify(self) -> None:
        if self._life is not None:
            await self._certificates.take(self._life)

    def covered(self, name: str) -> bool:
        return self._files.certificates.covers(name)

    # -- the end ----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Leave HAProxy serving as it is; the next owner adopts it. Idempotent."""
        if self._life is not None:
            with suppress(GatewayError):
                await self._routes.to_disk()
        await self._let_go()

    async def stop(self, grace: float = 10.0) -> None:
        """No new connections; open ones get ``grace`` seconds; then the proxy ends."""
        life, keeper = self._life, self._keeper
        await self._end_tasks()
        if keeper is not None:
            await keeper.stop(1)
        if life is not None:
            await life.end(self._api, grace)
        await self.close()

    async def _let_go(self) -> None:
        await self._end_tasks()
        self._access.close()
        self._api.close()
        await self._prober.aclose()
        self._life = None
        self._files.release()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _own(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _entries(routes: Iterable[Route]) -> dict[str, str]:
    try:
        return routemap.entries(routes)
    except ValueError as e:
        raise GatewayError(str(e)) from e


def _conn_cur(answer: str) -> int:
    mark = haproxy_config.CONN_CUR
    found = [word.removeprefix(mark) for word in answer.split() if word.startswith(mark)]
    return int(found[0]) if found else 0


async def _resolved(routes: Sequence[Route]) -> list[Route]:
    return [replace(r, host=await _address(r.host)) if r.state is RouteState.SERVING else r for r in routes]


async def _address(host: str) -> str:
    """An IP address for a name; addresses are what the proxy can follow. Raises GatewayError."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as e:
        raise GatewayError(f"upstream {host!r} has no address: {e.strerror}") from e
    return str(ipaddress.ip_address(found[0][4][0]))
