"""What the routes shall be, and making proxy and disk agree with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from funai.base.observability import log
from funai.contracts.routes import GatewayError
from funai.gateway.delayed_file import DelayedFile
from funai.gateway.haproxy.live_map import LiveMap, MapRefused
from funai.gateway.haproxy.routemap import render_file
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError

CHANGE_SECONDS = 5.0
"""How long a change waits for a proxy that is being restarted."""
_MEND_PAUSE = 0.5
_RETRY_PAUSE = 0.01


class RouteKeeper:
    """The wanted table, its copy on disk and the proxy's. ``lock`` orders all that touches proxy table or process;
    the public's requests never wait for it."""

    def __init__(self, api: RuntimeApi, map_file: Path, boot: str) -> None:
        self.lock = asyncio.Lock()
        self._live = LiveMap(api, str(map_file))
        # The owner writes it itself before it starts a proxy; one that outlives its owner is asked, and not the file.
        self._file = DelayedFile(map_file, lambda: partial(render_file, dict(self._wanted), boot))
        self._wanted: dict[str, str] = {}
        self._doubt = asyncio.Event()

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def certain(self) -> bool:
        """The proxy surely holds what we want."""
        return not self._doubt.is_set()

    def begin(self, entries: Mapping[str, str]) -> None:
        """The table at start; no proxy has it yet."""
        self._wanted = dict(entries)
        self._file.change()

    async def read_live(self) -> dict[str, str]:
        """What the running proxy holds. Raises RuntimeApiError."""
        return dict(await self._live.read())

    async def to_disk(self) -> dict[str, str]:
        """Write the map file now; answers what was written. Raises GatewayError."""
        entries = dict(self._wanted)
        self._file.change()
        try:
            await self._file.flush()
        except OSError as e:
            raise GatewayError(f"the route file can't be written: {e}") from e
        return entries

    def loaded(self, entries: Mapping[str, str] | None) -> None:
        """A new process has read these from the file, and knows no others; None: whatever was there."""
        self._live.loaded(entries)
        if entries == self._wanted:
            self._doubt.clear()
        else:
            self._doubt.set()

    async def impose(self) -> None:
        """Give the proxy the whole table. Raises RuntimeApiError."""
        await self._live.replace(self._wanted)
        self._doubt.clear()

    async def change(self, entries: Mapping[str, str | None], *, whole: bool = False) -> None:
        """Make these entries so (None: absent); ``whole``: and no others. Raises GatewayError.

        While the proxy is away the change waits for it. On failure the wish is taken back, and the proxy set right later.
        """
        why: RuntimeApiError | None = None
        try:
            async with asyncio.timeout(CHANGE_SECONDS):
                while True:
                    try:
                        async with self.lock:
                            await self._change(entries, whole)
                        return
                    except RuntimeApiError as e:
                        # Refused once, the table was not what we thought; it is read anew. Twice is an answer.
                        if isinstance(e, MapRefused) and isinstance(why, MapRefused):
                            raise
                        why = e
                    await asyncio.sleep(_RETRY_PAUSE)
        except (RuntimeApiError, TimeoutError) as e:
            raise GatewayError(f"the proxy did not take the change: {why or 'it does not run'}") from e

    async def _change(self, entries: Mapping[str, str | None], whole: bool) -> None:
        before = self._wanted
        undo = before if whole else {key: before.get(key) for key in entries}
        done = False
        if whole:
            self._wanted = {key: value for key, value in entries.items() if value is not None}
        else:
            _assign(self._wanted, entries)
        try:
            if whole:
                await self._live.replace(self._wanted)
            else:
                for key, value in entries.items():
                    await self._live.put(key, value)
            done = True
        finally:
            if not done:
                if whole:
                    self._wanted = before
                else:
                    _assign(self._wanted, undo)
                self._live.doubt()
                self._doubt.set()
        self._file.change()

    async def keep_file(self) -> None:
        """Task: write the file some moments after each change."""
        await self._file.keep()

    async def mend(self) -> None:
        """Task: after a change whose end was not seen, give the proxy the whole table again."""
        while True:
            await self._doubt.wait()
            async with self.lock:
                try:
                    await self.impose()
                    continue
                except RuntimeApiError as e:
                    log.get("gateway").warning("gateway.mend_failed", error=str(e))
            await asyncio.sleep(_MEND_PAUSE)


def _assign(table: dict[str, str], entries: Mapping[str, str | None]) -> None:
    for key, value in entries.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
