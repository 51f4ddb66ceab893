"""Follows Deploy's routes, and keeps the last of them for the time that Deploy is away and for the next start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from funai.base.aio import Stopped, unless
from funai.base.clients.deploy import EdgeDeployClient
from funai.base.observability import log
from funai.contracts.apps.edge import RouteChanges
from funai.contracts.errors import FunaiError
from funai.contracts.routes import GatewayError
from funai.gateway.delayed_file import DelayedFile
from funai.gateway.edge.shown import Shown
from funai.gateway.edge.table import Changed, EdgeTable, upstream_of

FIRST_SECONDS = 3.0
"""How long a start waits for Deploy before it serves by what it knew."""
WAIT_SECONDS = 10.0
"""How long a question is open: a Deploy that vanished without a word is noticed so late at most, and some seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 3.0
APPLY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


def load(file: Path) -> EdgeTable:
    """The table on disk; an empty one where there is none that can be read."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return EdgeTable.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return EdgeTable()
    except (OSError, ValueError) as e:
        log.get("edge").error("edge.table_unreadable", file=str(file), error=str(e))
        return EdgeTable()


class EdgeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.revision = Gauge("funai_edge_revision", "Revision of the routes that are served", registry=registry)
        self.apps = Gauge("funai_edge_apps", "Apps that are routed", registry=registry)
        self.nodes = Gauge("funai_edge_nodes", "Nodes that are known", registry=registry)
        self.heard = Gauge("funai_edge_deploy_heard_timestamp_seconds", "When Deploy answered last", registry=registry)
        self.failures = Counter("funai_edge_deploy_failures_total", "Questions that Deploy did not answer", registry=registry)
        self.apply = Histogram(
            "funai_edge_apply_seconds", "From an answer to routes that are served", buckets=APPLY_BUCKETS, registry=registry
        )


class Follower:
    """``start`` once, then ``run``; ``close`` last. Of several ``clients`` one that answers is asked."""

    def __init__(
        self, clients: Sequence[EdgeDeployClient], shown: Shown, file: Path, registry: CollectorRegistry | None = None
    ) -> None:
        self._clients, self._shown = list(clients), shown
        self._saved = DelayedFile(file, self._text)
        self.metrics = EdgeMetrics(registry or CollectorRegistry())
        self.table = EdgeTable()
        self.reached = False
        """Deploy answered when it was asked last."""
        self._failed = False
        self._sure = False
        """The table is as new as what the proxy has."""
        self._whole = True
        """The proxy may have something else than the table."""

    def _text(self) -> Callable[[], str]:
        text = self.table.to_json()
        return lambda: text

    async def start(self) -> None:
        """Serve: by Deploy's word when it answers soon, else by what is known. Raises GatewayError."""
        self.table = await asyncio.to_thread(load, self._saved.path)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self._catch_up()
        # Without Deploy a proxy that runs may know more than what was saved.
        await self._shown.start(self.table, sure=self.reached)
        self._sure, self._whole = self.reached, not self.reached
        self._measure()

    async def _catch_up(self) -> None:
        """Ask each Deploy once, until one answers."""
        for _ in self._clients:
            if await self._ask(0) is not None:
                return
            self._next_client()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until ``stop``."""
        keeping = asyncio.create_task(self._saved.keep(), name="edge.table")
        pause = FIRST_PAUSE
        try:
            while not stop.is_set():
                if await unless(stop, self._follow()):
                    pause = FIRST_PAUSE
                    continue
                self._next_client()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stop.wait()
                pause = min(pause * 2, LONGEST_PAUSE)
        except Stopped:
            pass
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._save()

    async def _save(self) -> None:
        try:
            await self._saved.flush()
        except OSError as e:
            log.get("edge").error("edge.table_unsaved", file=str(self._saved.path), error=str(e))

    async def _follow(self) -> bool:
        """One question, and what it brings; False when Deploy or the proxy failed."""
        if self._sure and self._whole:
            return await self._show(Changed())  # the proxy refused it before
        changed = await self._ask(0 if self._whole else WAIT_SECONDS)
        if changed is None:
            return False
        self._sure = True
        return await self._show(changed)

    async def _show(self, changed: Changed) -> bool:
        began = time.perf_counter()
        try:
            await self._shown.show(self.table, None if self._whole else changed)
        except GatewayError as e:
            log.get("edge").error("edge.proxy_refused", error=str(e))
            self._whole = True
            return False
        self._whole = False
        if changed.apps:
            self.metrics.apply.observe(time.perf_counter() - began)
        self._measure()
        return True

    async def _ask(self, wait: float) -> Changed | None:
        """Take Deploy's next answer into the table; None when there is none."""
        client = self._clients[0]
        try:
            answer = await client.routes(self.table.revision, wait)
            changed = await self._replaced(client, answer) if answer.full else self.table.apply(answer)
        except FunaiError as e:
            if self.reached or not self._failed:
                log.get("edge").warning("edge.deploy_away", error=str(e), reason=e.reason, **_remedy(e))
            self.reached, self._failed = False, True
            self.metrics.failures.inc()
            return None
        if not self.reached:
            log.get("edge").info("edge.following", revision=self.table.revision, apps=len(self.table.apps))
        self.reached = True
        self.metrics.heard.set_to_current_time()
        for node in changed.unusable:
            log.get("edge").error("edge.node_unusable", node=node.name, url=node.url, set="RUNTIME_NODE_UPSTREAM_URL")
        if changed.apps or changed.names or answer.nodes or answer.full:
            self._saved.change()
        return changed

    async def _replaced(self, client: EdgeDeployClient, first: RouteChanges) -> Changed:
        """A snapshot takes the table's place, whole or not at all."""
        pages = [first]
        while page := pages[-1].next_page:
            pages.append(await client.routes(0, page=page))
        self.table = EdgeTable.of(pages)
        self._whole = True
        unusable = [node for node in self.table.nodes.values() if upstream_of(node.url) is None]
        return Changed(frozenset(self.table.apps), True, tuple(unusable))

    def _next_client(self) -> None:
        self._clients.append(self._clients.pop(0))

    def _measure(self) -> None:
        self.metrics.revision.set(self.table.revision)
        self.metrics.apps.set(len(self.table.apps))
        self.metrics.nodes.set(len(self.table.nodes))

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


def _remedy(e: FunaiError) -> dict[str, str]:
    """What to set where Deploy refuses this edge."""
    return {"set": "edge.token, and deploy.edge.* at Deploy"} if e.code in (401, 403) else {}
