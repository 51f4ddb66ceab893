"""Jobs that run, or wait for a node, for longer than an operator allows."""

from __future__ import annotations

import time
from dataclasses import dataclass

from funai.contracts.reasons import FailureCode
from funai.deploy.queue.maintenance.ending import Ender
from funai.i18n.joblog import both

NO_LIMIT_MS = 2**53


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Seconds; ``max_running`` 0 is no limit."""

    max_running: int
    max_waiting: int

    @property
    def max_running_ms(self) -> int:
        return self.max_running * 1000 or NO_LIMIT_MS


class TimeLimits:
    """Called by the :class:`Tender`. A look at the waits reads all jobs that wait: it comes every ``waits_every`` seconds."""

    def __init__(self, ender: Ender, config: LimitsConfig) -> None:
        self.ender, self.config = ender, config
        self.waits_every = min(15.0, config.max_waiting / 4)
        self._waits_at = 0.0

    async def end_overdue(self) -> int:
        """FAIL what runs for longer than ``max-running-seconds``; its runner learns so from its next heartbeat."""
        text = both("ran_too_long", n=self.config.max_running)
        given = {"p_max_running": self.config.max_running_ms}
        return await self.ender.end_all(self.ender.store.sql.overdue, given, text, FailureCode.RUN_TIMEOUT)

    async def end_waits(self) -> int:
        """FAIL what found no node for longer than ``max-waiting-seconds``; at most once in ``waits_every`` seconds."""
        if time.monotonic() - self._waits_at < self.waits_every:
            return 0
        self._waits_at = time.monotonic()
        text = both("no_node_in_time", n=self.config.max_waiting)
        given = {"p_max_waiting": self.config.max_waiting * 1000}
        return await self.ender.end_all(self.ender.store.sql.wait_timed_out, given, text, FailureCode.NO_NODE)
