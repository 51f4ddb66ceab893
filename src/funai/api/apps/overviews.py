"""How apps that serve are: where they are reached, whether they keep ending, whether they were taken off line elsewhere.

Deploy is asked about many at once; an older one, which has no such call, about a few, one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select, update

from funai.api.apps.service import Apps
from funai.api.apps.slots import Slots
from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.outcome import MAX_URL
from funai.api.models import AppRow, app_of
from funai.api.tables import apps, users
from funai.base.clients.deploy import DeployClient
from funai.base.db.engine import Database
from funai.base.http.app import language
from funai.base.observability import log
from funai.contracts.accounts import App, AppRuntime, Serving
from funai.contracts.agent import AgentStatus
from funai.contracts.apps.domains import NameApp, readable_label
from funai.contracts.apps.usage import AppUsage
from funai.contracts.errors import CalleeFailed, FunaiError, NotFound
from funai.contracts.nodes import MAX_OVERVIEW, AppOverview
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus, JobStatus, Window
from funai.contracts.wire import iso_z
from funai.i18n.reasons import Words, render

T = TypeVar("T")
TOGETHER = MAX_OVERVIEW
FEW = 50
"""So many are asked about one by one where Deploy has no call for many."""
LOOK_SECONDS = 4.0
"""How long a request for an app waits for the app's node."""


class Overviews:
    def __init__(self, db: Database, apps: Apps, slots: Slots, control: DeployClientPool) -> None:
        self.db, self.apps, self.slots, self.control = db, apps, slots, control
        self._reached = 0
        self._named: set[int] = set()
        """Apps for which this process asked for a readable label: once is enough."""

    async def sweep(self) -> None:
        """Learn where apps that serve are reached now (a node may have got another address), and which are off line.

        Looks at some apps and goes on behind them the next time, or at once for as long as it finds a change. Raises
        what Deploy's client raises.
        """
        while self.control.enabled:
            ready = select(apps).where(
                apps.c.status.in_((int(AppStatus.READY), int(AppStatus.FAILED))),
                apps.c.serving == 1,
                apps.c.id > self._reached,
                apps.c.deleting == 0,
                apps.c.job_id.is_not(None),
            )
            rows = [app_of(r) for r in await self.db.fetch_all(ready.order_by(apps.c.id).limit(TOGETHER))]
            full = TOGETHER
            known = await self._known([row.id for row in rows])
            if known is None:
                rows, full = rows[:FEW], FEW
                changed = [await self._readdress_by_job(row) for row in rows]
            else:
                changed = [await self._note(row, known.get(row.id)) for row in rows]
            self._reached = rows[-1].id if len(rows) == full else 0
            if not any(changed) or not self._reached:
                return

    async def shown(self, rows: Sequence[AppRow]) -> list[App]:
        """The apps as people see them; of serving ones also whether they keep ending, unless Deploy doesn't answer now."""
        serving = [row.id for row in rows if row.serving][:MAX_OVERVIEW]
        try:
            async with asyncio.timeout(self.control.list_seconds):
                known = await self._known(serving) if self.control.enabled else None
        except (FunaiError, TimeoutError):
            known = None
        return [_told(self.apps.wire(row), (known or {}).get(row.id)) for row in rows]

    async def runtime(self, user_id: int, app_id: int) -> AppRuntime:
        """The word of the app's node, now. Raises NotFound, CalleeFailed when it doesn't come in time."""
        return _runtime(app_id, await self._asked(user_id, app_id, lambda deploy: deploy.app_status(user_id, app_id)))

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """What the app used, by its node. Raises NotFound, CalleeFailed when it doesn't come in time."""
        return await self._asked(user_id, app_id, lambda deploy: deploy.app_usage(user_id, app_id, window))

    async def _asked(self, user_id: int, app_id: int, ask: Callable[[DeployClient], Awaitable[T]]) -> T:
        await self.apps.own(user_id, app_id)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                with self.control.asking() as deploy:
                    return await ask(deploy)
        except TimeoutError as e:
            raise CalleeFailed(Reason.AGENT_UNREACHABLE, detail=f"{LOOK_SECONDS:g} s") from e

    async def _known(self, app_ids: Sequence[int]) -> dict[int, AppOverview] | None:
        """By app id; None when this Deploy has no such call."""
        if not app_ids:
            return {}
        with self.control.asking() as deploy:
            found = await deploy.overview(app_ids)
        return None if found is None else {o.app_id: o for o in found}

    async def _note(self, row: AppRow, seen: AppOverview | None) -> bool:
        """Whether this changed something."""
        if seen is None:
            return False
        if seen.stopped:
            log.get("api.overviews").info("app.found_stopped", app_id=row.id)
            await self.slots.stopped(row.id, row.job_id, seen_at=row.update_time)
            return True
        if seen.access_url and not seen.alias_url and row.id not in self._named:
            await self._name(row)
        return await self._readdress(row, seen.deploy_url, seen.access_url)

    async def _name(self, row: AppRow) -> None:
        """Ask for the label ``{name}-{user}``; where it is taken, the app has none."""
        self._named.add(row.id)
        owner = await self.db.fetch_one(select(users.c.user_name).where(users.c.id == row.user_id))
        label = readable_label(row.app_name, str(owner["user_name"])) if owner else None
        if label is None:
            return
        with suppress(NotFound), self.control.asking() as deploy:  # a Deploy without the call
            await deploy.name_app(NameApp(user_id=row.user_id, app_id=row.id, label=label))

    async def _readdress_by_job(self, row: AppRow) -> bool:
        try:
            with self.control.asking() as deploy:
                job = await deploy.job(row.job_id or 0)
        except NotFound:
            return False
        return await self._readdress(row, job.deploy_url if job.status is JobStatus.SUCCEEDED else None, job.access_url)

    async def _readdress(self, row: AppRow, url: str | None, own: str | None) -> bool:
        if not url or len(url) > MAX_URL or len(own or "") > MAX_URL:
            return False
        if (url, own) == (row.deploy_url, row.access_url):
            return False
        same = (apps.c.id == row.id, apps.c.job_id == row.job_id, apps.c.serving == 1)
        async with self.db.write() as conn:
            await conn.execute(update(apps).where(*same).values(deploy_url=url, access_url=own))
        return True


def _told(app: App, seen: AppOverview | None) -> App:
    if seen is None or app.serving is None:
        return app
    told: dict[str, object] = {"serving": _serving(app.serving, seen)}
    if seen.alias_url:
        told["alias_url"] = seen.alias_url
    if seen.crash_looping is not None:
        told["crash_looping"] = seen.crash_looping
    if seen.crash_looping:
        told["runtime_message"] = looping_words(app.id)
    return app.model_copy(update=told)


def _serving(known: Serving, seen: AppOverview) -> Serving | None:
    """With Deploy's word; None once it was taken off line there."""
    if seen.stopped:
        return None
    return Serving(release=seen.release, address=seen.access_url or seen.deploy_url or known.address, since=seen.deployed_at)


def looping_words(app_id: int, exit_code: int | None = None, at: datetime | None = None) -> str:
    """That an app keeps ending, how it ended last, and where to look: in the language of who asked."""
    zh, en = [], []
    if exit_code is not None:
        zh, en = [f"最近一次退出码 {exit_code}"], [f"last exit status {exit_code}"]
    if at is not None:
        zh, en = [*zh, f"时间 {iso_z(at)}"], [*en, f"at {iso_z(at)}"]
    how = Words(f"（{'，'.join(zh)}）", f" ({', '.join(en)})") if zh else ""
    return render(Reason.APP_CRASH_LOOPING, language(), {"app": app_id, "how": how})


def _runtime(app_id: int, said: dict[str, Any]) -> AppRuntime:
    """From Deploy's answer: the agent's words, with the node's name."""
    status = AgentStatus.model_validate(said)
    looping = bool(status.crash_looping)
    at = _moment(status.last_exit_at)
    exit_code = status.exit_code if status.last_exit_code is None else status.last_exit_code
    return AppRuntime(
        app_id=app_id,
        exists=status.exists,
        running=status.running,
        crash_looping=looping,
        message=looping_words(app_id, exit_code, at) if looping else None,
        restart_count=status.restart_count,
        last_exit_code=exit_code,
        last_exit_at=at,
        started_at=_moment(status.started_at),
        image=status.image,
        port=status.port,
        node_name=said.get("nodeName"),
    )


def _moment(text: str | None) -> datetime | None:
    """An engine's own way to write a time; None for one that can't be read."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
