"""The map inside the running proxy, kept equal to what we want."""

from __future__ import annotations

from collections.abc import Mapping

from funai.gateway.haproxy.routemap import Change, Edit, edit_for, edits, parse_show_map, payloads
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError

REPLACE_FROM = 200
"""So many edits at once go in as one transaction instead: it is atomic, and no slower."""


class MapRefused(RuntimeApiError):
    """HAProxy answered a map command with an error."""


class LiveMap:
    """The proxy's table. ``have`` is what it surely holds; None after any doubt, and then it is asked again first.

    Calls must not overlap (the gateway's lock).
    """

    def __init__(self, api: RuntimeApi, name: str) -> None:
        self._api, self._name = api, name
        self.have: dict[str, str] | None = None

    def doubt(self) -> None:
        """Something happened that we did not see the end of."""
        self.have = None

    def loaded(self, entries: Mapping[str, str] | None) -> None:
        """A fresh process has just read these from the map file; None: we don't know what."""
        self._api.close()
        self.have = None if entries is None else dict(entries)

    async def read(self) -> dict[str, str]:
        """What the proxy holds. Raises RuntimeApiError."""
        self.have = parse_show_map(await self._api.ask(f"show map {self._name}"))
        return self.have

    async def put(self, key: str, value: str | None) -> None:
        """Make one entry so; None removes it. Raises RuntimeApiError, after which the table is in doubt."""
        have, self.have = self.have if self.have is not None else await self.read(), None
        edit = edit_for(have, key, value)
        if edit is not None:
            await self._apply(edit)
            if edit.change is Change.DEL:
                del have[key]
            else:
                have[key] = edit.value
        self.have = have

    async def replace(self, wanted: Mapping[str, str]) -> None:
        """Make the table exactly ``wanted``; a large change is one transaction. Raises RuntimeApiError."""
        have, self.have = await self.read(), None
        todo = edits(have, wanted)
        if len(todo) < REPLACE_FROM:
            for edit in todo:
                await self._apply(edit)
        else:
            await self._replace_whole(wanted)
        self.have = dict(wanted)

    async def _apply(self, edit: Edit) -> None:
        answer = await self._api.ask(edit.command(self._name))
        if answer:
            raise MapRefused(f"{edit.change} map: {answer}")

    async def _replace_whole(self, wanted: Mapping[str, str]) -> None:
        answer = await self._api.ask(f"prepare map {self._name}")
        version = answer.rpartition(" ")[2]
        if not version.isdigit():
            raise MapRefused(f"prepare map: {answer}")
        for payload in payloads(wanted):
            answer = await self._api.ask(f"add map @{version} {self._name}", payload)
            if answer:
                raise MapRefused(f"add map: {answer}")
        answer = await self._api.ask(f"commit map @{version} {self._name}")
        if answer:
            raise MapRefused(f"commit map: {answer}")
