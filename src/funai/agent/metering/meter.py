"""What each app of this node uses: requests from the gateway's log, processor time and memory at each sweep."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from funai.agent.metering import cgroup
from funai.agent.metering.ring import Rings, Use
from funai.agent.workload.contract import AppView
from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.apps.usage import AppUsage, UsagePoint
from funai.contracts.states import Window

SAVE_SECONDS = 120


class Traffic:
    """Requests since the last look, by app. The gateway calls :meth:`count` for each one, so it only adds up."""

    def __init__(self) -> None:
        self._uses: dict[int, Use] = {}

    def count(self, app_id: int | None, status: int, bytes_in: int, bytes_out: int, ms: int) -> None:
        if app_id is None:
            return
        if (use := self._uses.get(app_id)) is None:
            use = self._uses[app_id] = Use()
        use.requests += 1
        use.errors += status >= 500
        use.ms += ms
        use.slowest = max(use.slowest, ms)
        use.bytes_in += bytes_in
        use.bytes_out += bytes_out

    def take(self) -> dict[int, Use]:
        taken, self._uses = self._uses, {}
        return taken


@dataclass(slots=True)
class _Reading:
    """The last look at a container."""

    container: str
    at: float
    cpu_ms: int


class Meter:
    """``traffic`` is None where the gateway does not count. ``folder`` keeps the rings over restarts; None keeps them not."""

    def __init__(
        self,
        traffic: Traffic | None,
        folder: Path | None,
        *,
        memory_limit: int = 0,
        clock: Callable[[], float] = time.time,
        spent: Callable[[int], cgroup.Spent | None] = cgroup.spent,
    ) -> None:
        self._traffic, self._folder, self._limit = traffic, folder, memory_limit
        self._clock, self._spent = clock, spent
        self._rings: dict[int, Rings] = {}
        self._readings: dict[int, _Reading] = {}
        self._changed: set[int] = set()

    def load(self) -> None:
        """What an earlier life kept. A file that can't be read is the same as none."""
        for file in self._folder.glob("*.json") if self._folder else ():
            try:
                self._rings[int(file.stem)] = Rings.from_json(json.loads(file.read_text()))
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as e:
                log.get("meter").warning("meter.unreadable", file=file.name, error=type(e).__name__)

    def saw(self, apps: Collection[AppView]) -> None:
        """All apps as one sweep found them: fold in what was used since the last one."""
        now, known = self._clock(), {app.app_id for app in apps}
        taken = self._traffic.take() if self._traffic else {}
        for app_id, use in taken.items():
            if app_id in known:
                self._add(app_id, now, use)
        for app in apps:
            if app.live and app.live.running and (use := self._measured(app.app_id, app.live.key, app.live.pid, now)):
                self._add(app.app_id, now, use)
        self._readings = {app_id: reading for app_id, reading in self._readings.items() if app_id in known}

    def _measured(self, app_id: int, container: str, pid: int, now: float) -> Use | None:
        if not pid or (spent := self._spent(pid)) is None:
            self._readings.pop(app_id, None)
            return None
        before = self._readings.get(app_id)
        self._readings[app_id] = _Reading(container, now, spent.cpu_ms)
        use = Use(memory=spent.memory)
        if before and before.container == container and spent.cpu_ms >= before.cpu_ms and now > before.at:
            use.cpu_ms, use.measured_ms = spent.cpu_ms - before.cpu_ms, int((now - before.at) * 1000)
        return use

    def _add(self, app_id: int, now: float, use: Use) -> None:
        self._rings.setdefault(app_id, Rings()).add(now, use)
        self._changed.add(app_id)

    def usage(self, app_id: int, window: Window) -> AppUsage:
        """All steps of the window; without figures for an app that nothing is known of."""
        rings, counts = self._rings.get(app_id) or Rings(), self._traffic is not None
        return AppUsage(
            window=window,
            step_seconds=window.step_seconds,
            memory_limit_bytes=self._limit or None,
            counts_requests=counts,
            points=[_point(at, use, counts) for at, use in rings.points(window, self._clock())],
        )

    def forget(self, app_id: int) -> None:
        """The app is gone: so are its figures."""
        self._rings.pop(app_id, None)
        self._readings.pop(app_id, None)
        self._changed.discard(app_id)
        if self._folder:
            (self._folder / f"{app_id}.json").unlink(missing_ok=True)

    async def save(self) -> None:
        """Write what changed since the last time. Raises OSError; what was not written is tried again."""
        if self._folder is None or not self._changed:
            return
        texts = {app_id: json.dumps(self._rings[app_id].to_json(), separators=(",", ":")) for app_id in self._changed}
        await asyncio.to_thread(self._write, self._folder, texts)
        self._changed -= texts.keys()

    @staticmethod
    def _write(folder: Path, texts: dict[int, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for app_id, text in texts.items():
            write_whole(folder / f"{app_id}.json", text)


def _point(at: int, use: Use | None, counts: bool) -> UsagePoint:
    point = UsagePoint(at=datetime.fromtimestamp(at, UTC))
    if use is None:
        return point
    if counts:
        point.requests, point.errors = use.requests, use.errors
        point.bytes_in, point.bytes_out = use.bytes_in, use.bytes_out
        if use.requests:
            point.average_ms, point.slowest_ms = round(use.ms / use.requests, 1), use.slowest
    if use.measured_ms:
        point.cpu_percent = round(100 * use.cpu_ms / use.measured_ms, 1)
    point.memory_bytes = use.memory or None
    return point
