"""Looks every few seconds: what is wrong is kept in the database, and one instance sends each change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.aio import periodic
from funai.base.db.engine import Database
from funai.base.db.rows import Row, all_rows
from funai.base.observability import log
from funai.deploy.alerts.channels import Channel, Notice, NotSent
from funai.deploy.alerts.conditions import OWN, Alert, Facts, Limits, wrong
from funai.deploy.alerts.settings import AlertSettings
from funai.deploy.placement.store import insert_new
from funai.deploy.tables import alert as table
from funai.i18n.alerts import alert_words

MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class Due:
    """A notice to send, and what to write back where no channel took it."""

    notice: Notice
    sent_before: int | None


class AlertWatch:
    """Config · start · run_once. A row is a thing that is wrong; who changes it in a conditional statement sends it."""

    name = "deploy.alerts"

    def __init__(
        self,
        db: Database,
        settings: AlertSettings,
        limits: Limits,
        facts: Callable[[], Awaitable[Facts]],
        channels: list[Channel],
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self.db, self.settings, self.limits, self.facts, self.channels = db, settings, limits, facts, channels
        self.sent = Counter(
            "funai_deploy_alerts_sent_total", "Alerts by channel and outcome", ["channel", "outcome"], registry=metrics
        )
        for channel in channels:
            for outcome in ("sent", "failed"):
                self.sent.labels(channel.name, outcome)

    def start(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        if self.channels:
            tasks.create_task(periodic(self.name, self.settings.alert_every_seconds, self.run_once, stop), name=self.name)

    async def run_once(self) -> int:
        """Look, remember, send; answers how many notices were sent."""
        facts = await self.facts()
        now_wrong = {a.key[:MAX_KEY]: a for a in wrong(facts, self.limits)}
        due = await self.db.retrying(lambda conn: self._change(conn, now_wrong, f"{OWN}{facts.instance}"[:MAX_KEY]))
        sent = 0
        for one in due:
            if await self._send(one.notice):
                sent += 1
            elif one.notice.state != "recovered":
                await self._take_back(one)
        return sent

    async def _change(self, conn: AsyncConnection, now_wrong: dict[str, Alert], own: str) -> list[Due]:
        """Every row as it is from now on; what this instance changed it sends. ``own`` is the one key of its own."""
        now_ms = await self.db.clock(conn)
        known = {row["alert_key"]: row for row in await all_rows(conn, select(table))}
        due: list[Due] = []
        for key, alert in now_wrong.items():
            if key not in known:
                row = {"alert_key": key, "reason": alert.reason, "text": alert.words(self._language), "since_ms": now_ms}
                if not await insert_new(conn, table, row):
                    continue
                known[key] = {**row, "sent_ms": None}
            if one := await self._fire(conn, alert, known[key], now_ms):
                due.append(one)
        for key in sorted(key for key in known.keys() - now_wrong.keys() if key == own or not key.startswith(OWN)):
            row = known[key]
            gone = await conn.execute(delete(table).where(table.c.alert_key == key, table.c.since_ms == row["since_ms"]))
            if gone.rowcount == 1 and row["sent_ms"] is not None:
                due.append(Due(self._notice(key, row["reason"], "recovered", row["text"], row["since_ms"]), None))
        return due

    async def _fire(self, conn: AsyncConnection, alert: Alert, row: Row, now_ms: int) -> Due | None:
        before: int | None = row["sent_ms"]
        wait = self.settings.alert_after_seconds if before is None else self.settings.alert_repeat_seconds
        if now_ms - (row["since_ms"] if before is None else before) < wait * 1000:
            return None
        words = alert.words(self._language)
        mine = table.c.sent_ms.is_(None) if before is None else table.c.sent_ms == before
        change = update(table).where(table.c.alert_key == row["alert_key"], mine)
        taken = await conn.execute(change.values(sent_ms=now_ms, reason=alert.reason, text=words))
        if taken.rowcount != 1:
            return None
        state = "firing" if before is None else "again"
        return Due(self._notice(row["alert_key"], alert.reason, state, words, row["since_ms"]), before)

    async def _take_back(self, due: Due) -> None:
        """No channel took it: the next look tries again."""
        async with self.db.write() as conn:
            await conn.execute(update(table).where(table.c.alert_key == due.notice.key).values(sent_ms=due.sent_before))

    async def _send(self, notice: Notice) -> bool:
        """Whether at least one channel took it."""
        outcomes = await asyncio.gather(*(self._send_by(channel, notice) for channel in self.channels))
        return any(outcomes)

    async def _send_by(self, channel: Channel, notice: Notice) -> bool:
        try:
            await channel.send(notice)
        except NotSent as e:
            self.sent.labels(channel.name, "failed").inc()
            log.get("alerts").warning("alert.not_sent", channel=channel.name, key=notice.key, why=str(e))
            return False
        self.sent.labels(channel.name, "sent").inc()
        log.get("alerts").info("alert.sent", channel=channel.name, key=notice.key, state=notice.state)
        return True

    @property
    def _language(self) -> str:
        return self.settings.alert_language.value

    def _notice(self, key: str, reason: str, state: str, text: str, since_ms: int) -> Notice:
        word = alert_words(state, self._language, {})
        title = f"[{self.settings.alert_platform}] {word}: {reason} {key.partition(':')[2]}".rstrip()
        return Notice(key, reason, state, "".join(c for c in title if c.isprintable()), text, since_ms)
