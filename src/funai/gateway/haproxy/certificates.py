"""Certificates in the running proxy: the operator's folder and those of apps' own names, followed without a lost request."""

from __future__ import annotations

import asyncio
from pathlib import Path

from funai.base.observability import log
from funai.contracts.routes import GatewayError
from funai.gateway.haproxy.files import HaproxyFiles
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError
from funai.gateway.haproxy.supervisor import ProxyLife
from funai.gateway.tls.certs import CertificateChange


class ProxyCertificates:
    """``lock`` is the gateway's own: what touches the process happens one at a time."""

    def __init__(self, api: RuntimeApi, files: HaproxyFiles, lock: asyncio.Lock) -> None:
        self._api, self._files, self._lock = api, files, lock
        self._looking = asyncio.Lock()
        self._told: dict[str, str] = {}
        self._loaded: dict[Path, tuple[int, int]] = {}

    @property
    def on(self) -> bool:
        return bool(self._files.settings.https_port)

    def started(self) -> None:
        """A new process has just read every file of the list."""
        self._loaded = self._files.certificates.issued()

    async def adopted(self) -> None:
        """The running proxy may have been loaded with older ones. Raises GatewayError."""
        if not self.on:
            return
        try:
            for name in self._files.certificates.names():
                await self._load(self._files.certificates.path(name))
            self._loaded = {}
            await self._sync_issued()
        except RuntimeApiError as e:
            raise GatewayError(str(e)) from e

    async def follow(self, life: ProxyLife) -> None:
        """Task: look at the folder now and then."""
        while True:
            await asyncio.sleep(self._files.settings.tls_poll_seconds)
            try:
                await self.take(life)
            except GatewayError as e:
                log.get("gateway").error("gateway.certificates_failed", error=str(e))

    async def take(self, life: ProxyLife) -> None:
        """Bring the proxy to what is on disk now. Raises GatewayError."""
        if not self.on:
            return
        async with self._looking:
            try:
                change = await asyncio.to_thread(self._files.refresh_certificates)
            except OSError as e:
                raise GatewayError(f"certificates can't be copied: {e}") from e
            self.complain(change)
            if change or self._loaded != self._files.certificates.issued():
                async with self._lock:
                    await self._take(life, change)

    def complain(self, change: CertificateChange | None) -> None:
        """Once for each problem, not at every look."""
        problems = change.problems if change is not None else {}
        for file, why in problems.items():
            if self._told.get(file) != why:
                log.get("gateway").warning("gateway.certificate_unusable", file=file, why=why)
        self._told = problems

    async def _take(self, life: ProxyLife, change: CertificateChange) -> None:
        """New content of a known name goes in over the runtime API, as do apps' own names; another set of the operator's
        needs a new process."""
        if not life.pid:
            return  # The restart under way reads the files as they are now.
        if not change.regrouped:
            try:
                for path in change.changed.values():
                    await self._load(path)
                await self._sync_issued()
                log.get("gateway").info("gateway.certificates_updated", names=sorted(change.changed), issued=len(self._loaded))
                return
            except RuntimeApiError as e:
                log.get("gateway").warning("gateway.certificate_refused", error=str(e))
        await life.replace(life.pid)
        self.started()

    async def _sync_issued(self) -> None:
        """Give the proxy the issued certificates that it lacks, and removes the ones that are gone. Raises RuntimeApiError."""
        wanted = self._files.certificates.issued()
        folder = self._files.issued_folder
        shown = (line.lstrip("*").strip() for line in (await self._api.ask("show ssl cert")).splitlines())
        have = {Path(line) for line in shown if line.startswith(f"{folder}/")}
        for path, stamp in wanted.items():
            if path not in have:
                await self._add(path)
            elif self._loaded.get(path) != stamp:
                await self._load(path)
        for path in have - wanted.keys():
            await self._remove(path)
        self._loaded = wanted

    async def _add(self, path: Path) -> None:
        await self._say(f"new ssl cert {path}", "new empty")
        await self._load(path)
        await self._say(f"add ssl crt-list {self._files.certificates.list_file} {path}", "success")

    async def _remove(self, path: Path) -> None:
        await self._say(f"del ssl crt-list {self._files.certificates.list_file} {path}", "deleted")
        await self._say(f"del ssl cert {path}", "deleted")

    async def _say(self, command: str, expected: str) -> None:
        answer = await self._api.ask(command)
        if expected not in answer.lower():
            raise RuntimeApiError(f"{command}: {answer}")

    async def _load(self, path: Path) -> None:
        answer = await self._api.ask(f"set ssl cert {path}", await asyncio.to_thread(path.read_text))
        if "transaction" in answer.lower():
            answer = await self._api.ask(f"commit ssl cert {path}")
        if "success" not in answer.lower():
            raise RuntimeApiError(f"{path.stem}: {answer}")
