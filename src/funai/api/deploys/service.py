"""Deploying: from a request to a job at Deploy, without ever leaking a slot or losing a job.

The slot is taken first, then Deploy is asked. When Deploy refuses, the slot goes back at once. When it can't be known
whether Deploy acted, the same request is sent once more under the same key; if that can't be answered either, the app
stays DEPLOYING and the tracker finds out.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Any

from funai.api.accounts.callers import Caller
from funai.api.apps.service import Apps
from funai.api.apps.slots import Operation, Slots
from funai.api.apps.variables import Variables
from funai.api.deploys import idempotency
from funai.api.deploys.client_pool import DeployClientPool, OutcomeUnknown
from funai.api.deploys.comparison import changed_variables
from funai.api.deploys.idempotency import Answers, Unanswered
from funai.api.deploys.keys import Remember, Repeated
from funai.api.deploys.policy import Defaults, fill
from funai.api.deploys.presenters import answer_text, shown
from funai.api.deploys.tracker import Tracker
from funai.api.models import AppRow
from funai.base.clients.deploy import DeployClient
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.accounts import App, CreateDeploy, StoppedApp
from funai.contracts.errors import CalleeFailed, Conflict, FunaiError, NotFound, Unavailable
from funai.contracts.jobs import CreateJob, Job, Payload, Release, ReleaseComparison
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus, JobType

START_SECONDS = 120.0
ASK_AGAIN = (0.1, 0.5)
"""Seconds between tries of a request whose outcome isn't known."""


class Deploys:
    def __init__(
        self,
        apps: Apps,
        slots: Slots,
        answers: Answers,
        variables: Variables,
        tracker: Tracker,
        control: DeployClientPool,
        defaults: Defaults,
    ) -> None:
        self.apps, self.slots, self.answers, self.variables = apps, slots, answers, variables
        self.tracker, self.control, self.defaults = tracker, control, defaults

    async def create(self, user_id: int, app_id: int, asked: CreateDeploy, key: str | None = None) -> Job:
        """Deploy an app. Raises BadInput, Forbidden, NotFound, Conflict, CalleeFailed, Unavailable."""
        app = await self.apps.own(user_id, app_id)
        payload = fill(asked, user_id, app_id, app.app_name, self.defaults)
        if not payload.image and payload.repo_ssh_url == self.defaults.repo_url(user_id, app_id):
            await self.apps.repos.need(app)
        request = {"call": "create", "appId": app_id, "asked": asked.to_wire()}
        return await self._begin(user_id, app, payload, key, request)

    async def rollback(self, user_id: int, app_id: int, number: int | None, key: str | None = None) -> Job:
        """Run an earlier release again; without a number the newest one before the live one. Raises RELEASE_NOT_FOUND."""
        app = await self.apps.own(user_id, app_id)
        chosen = _earlier(await self.releases(user_id, app_id), number)
        payload = Payload(
            user_id=user_id,
            app_id=app_id,
            app_name=app.app_name,
            rollback_of=chosen.number,
            base_path=naming.base_path(app_id),
        )
        request = {"call": "rollback", "appId": app_id, "release": number}
        return await self._begin(user_id, app, payload, key, request, with_env=False)

    async def releases(self, user_id: int, app_id: int) -> list[Release]:
        """Newest first."""
        await self.apps.own(user_id, app_id)
        with self.control.asking() as deploy:
            return sorted(await deploy.releases(app_id), key=lambda r: -r.number)

    async def compare(self, user_id: int, app_id: int, old: int, new: int) -> ReleaseComparison:
        """What two releases differ in. Raises NotFound RELEASE_NOT_FOUND."""
        by_number = {r.number: r for r in await self.releases(user_id, app_id)}
        if old not in by_number or new not in by_number:
            raise NotFound(Reason.RELEASE_NOT_FOUND)
        with self.control.asking() as deploy:
            changed = await changed_variables(deploy, self.variables, app_id, old, new)
        return ReleaseComparison(old=by_number[old], new=by_number[new], variables=changed)

    async def stop(self, user_id: int, app_id: int) -> StoppedApp:
        """Take the app off line and free its slot. An app that doesn't run is answered as it is."""
        told: dict[str, Any] = {}
        app = await self.tracker.fresh(await self.apps.own(user_id, app_id))
        if app.status == AppStatus.DEPLOYING:
            raise Conflict(Reason.APP_DEPLOYING)
        if app.status in (AppStatus.READY, AppStatus.FAILED, AppStatus.UPLOADED) and app.job_id is not None:
            told = await self._stop(app)
        known = {name: told[name] for name in ("nodeId", "agentBaseUrl", "runtime") if told.get(name) is not None}
        shown_app = self.apps.wire(await self.apps.own(user_id, app_id)).model_dump(exclude_unset=True)
        return StoppedApp.model_validate({**shown_app, "app_id": app_id, **known})

    async def _stop(self, app: AppRow) -> dict[str, Any]:
        """Answers what Deploy said."""
        app_id, op_key = app.id, secrets.token_hex(16)
        _ = self.control.client  # switched off: say so before anything is written
        await self.slots.stopping(app_id, op_key)
        try:
            with self.control.asking() as deploy:
                told = await deploy.app_call("stop", app.user_id, app_id)
        except FunaiError as e:
            # Else it may still be at it, or has done it without writing that down; the tracker ends it then.
            if not isinstance(e, OutcomeUnknown) or (e.over and e.code != Unavailable.code):
                await self.slots.not_stopping(app_id, op_key)
            raise
        await self.slots.stopped(app_id, app.job_id)
        return told

    async def start(self, user_id: int, app_id: int) -> App:
        """Start a stopped app's kept release again. Raises Conflict APP_NEVER_DEPLOYED, QUOTA_RUNNING_APPS.

        When its node doesn't have it any more, the newest release is deployed again by digest: the app is DEPLOYING then.
        """
        app = await self.tracker.fresh(await self.apps.own(user_id, app_id))
        if app.op == Operation.STOP:  # one that was cut short: what it left is not what READY says
            await self._stop(app)
        elif app.status == AppStatus.READY:
            return self.apps.wire(app)
        if app.job_id is None:
            raise Conflict(Reason.APP_NEVER_DEPLOYED)
        op_key = secrets.token_hex(16)
        await self.slots.take(user_id, app_id, Operation.START, op_key)
        try:
            with self.control.asking() as deploy:
                answer = await deploy.app_call("start", user_id, app_id, timeout=START_SECONDS)
        except OutcomeUnknown as e:
            if e.over:  # else it may still be at it, and the tracker asks the node later
                with suppress(FunaiError):
                    await self.tracker.start_ended(await self.apps.own(user_id, app_id), op_key)
            raise
        except FunaiError as e:
            await self.slots.give_back(app_id, op_key)
            if e.reason != Reason.RELEASE_NOT_KEPT:
                raise
            return await self._start_anew(user_id, app_id, e)
        url = answer.get("deployUrl")
        await self.slots.started(app_id, op_key, url if isinstance(url, str) else None)
        return self.apps.wire(await self.apps.own(user_id, app_id))

    async def _start_anew(self, user_id: int, app_id: int, not_kept: FunaiError) -> App:
        """A stop that a silent node heard of later took the container away; the release is at the registry."""
        newest = next(iter(await self.releases(user_id, app_id)), None)
        if newest is None:
            raise not_kept
        await self.rollback(user_id, app_id, newest.number)
        return self.apps.wire(await self.apps.own(user_id, app_id))

    async def stop_all(self, user_id: int) -> int:
        """Stops all apps of an account and cancels their deploys; returns how many. For an operator."""
        stopped = 0
        for app in await self.apps.rows(user_id):
            if not app.slot:
                continue
            if app.status == AppStatus.DEPLOYING and app.job_id is not None:
                with suppress(NotFound, Conflict), self.control.asking() as deploy:
                    await self.tracker.learn(await deploy.cancel(app.job_id))
            await self.stop(user_id, app.id)
            stopped += 1
        return stopped

    async def set_disabled(self, app_id: int, disabled: bool) -> App:
        """An operator's word: what runs is stopped first. Raises NotFound, Conflict APP_DEPLOYING."""
        row = await self.apps.find(app_id)
        if row is None:
            raise NotFound(Reason.APP_NOT_FOUND)
        if disabled and row.slot:
            await self.stop(row.user_id, app_id)
        return await self.apps.set_disabled(app_id, disabled)

    async def info(self, caller: Caller, job_id: int | str) -> Job:
        """One job of the caller's. Raises NotFound for another user's job too."""
        with self.control.asking() as deploy:
            job = await deploy.job(job_id)
        if not caller.admin and job.payload.get("userId") != caller.id:
            raise NotFound(Reason.JOB_NOT_FOUND)
        await self.tracker.learn(job)
        return self._shown(job)

    async def cancel(self, caller: Caller, job_id: int | str) -> Job:
        """Raises NotFound, Conflict JOB_FINAL."""
        await self.info(caller, job_id)
        with self.control.asking() as deploy:
            job = await deploy.cancel(job_id)
        await self.tracker.learn(job)
        return self._shown(job)

    async def history(self, user_id: int, app_id: int, limit: int) -> list[Job]:
        """One app's jobs, newest first."""
        await self.apps.own(user_id, app_id)
        with self.control.asking() as deploy:
            return [self._shown(j) for j in await deploy.jobs_by_app(app_id, limit)]

    async def latest(self, caller: Caller, limit: int) -> list[Job]:
        """Newest first: all jobs for an admin, else those of the caller's own apps."""
        with self.control.asking() as deploy:
            if caller.admin:
                return [self._shown(j) for j in await deploy.jobs(limit, timeout=self.control.list_seconds)]
            turns = asyncio.Semaphore(8)

            async def of_app(app_id: int) -> list[Job]:
                async with turns:
                    return await deploy.jobs_by_app(app_id, limit)

            mine = [a.id for a in await self.apps.rows(caller.id) if a.job_id is not None]
            found = await asyncio.gather(*(of_app(a) for a in mine))
        newest = sorted((j for jobs in found for j in jobs), key=lambda j: (j.created_at, j.id), reverse=True)
        return [self._shown(j) for j in newest[:limit]]

    def _shown(self, job: Job) -> Job:
        told = {"deploy_url": job.deploy_url, "access_url": job.access_url}
        return shown(job).model_copy(update={name: self.defaults.public(url) for name, url in told.items() if url})

    async def _begin(
        self, user_id: int, app: AppRow, payload: Payload, key: str | None, request: dict[str, Any], *, with_env: bool = True
    ) -> Job:
        """Take the slot, ask Deploy, answer the job. A repeated Idempotency-Key is answered from its record."""
        record = idempotency.remember(key, request) if key is not None else None
        _ = self.control.client  # switched off: say so before anything is taken
        app_id = app.id
        op_key = secrets.token_hex(16)
        kept = await self.variables.kept(app_id)  # a rollback has its release's variables, and today's marks
        payload = payload.model_copy(
            update={"env_sealed": kept.sealed if with_env else None, "secret_env": list(kept.secret) or None}
        )
        create = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload, idempotency_key=op_key)
        await self.tracker.fresh(app)  # a deploy that ended a moment ago is no obstacle
        try:
            await self.slots.take(user_id, app_id, Operation.DEPLOY, op_key, record)
        except Repeated:
            return await self._other_answer(user_id, record, create)
        return await self._ask(app_id, op_key, create)

    async def _other_answer(self, user_id: int, record: Remember | None, create: CreateJob) -> Job:
        """What the first request with this key got; when that isn't known, it is asked for again as the same operation."""
        known = await self.answers.find(user_id, record) if record else None
        app_id = create.payload.app_id or 0
        if isinstance(known, Unanswered) and await self.slots.renew(app_id, known.op_key):
            again = create.model_copy(update={"idempotency_key": known.op_key})
            return await self._ask(app_id, known.op_key, again, unsure=True)
        if not isinstance(known, Job):  # the first request failed meanwhile; its caller knows, this one may try again
            raise Conflict()
        return known

    async def _ask(self, app_id: int, op_key: str, create: CreateJob, *, unsure: bool = False) -> Job:
        """``unsure``: the same was asked before, and what became of that isn't known."""
        try:
            job = await _create_job(self.control, create, unsure=unsure)
        except OutcomeUnknown:
            log.get("api.deploys").warning("deploy.outcome_unknown", app_id=app_id, op=op_key)
            raise
        except FunaiError as e:
            # (A request that is cancelled in the middle leaves the operation: the tracker finds out what became of it.)
            if e.reason != Reason.APP_DEPLOYING or not await self._adopt(app_id, op_key):
                await self.slots.give_back(app_id, op_key)
            raise
        if not await self.slots.bind(app_id, op_key, job, answer_text(job)) and await self.apps.find(app_id) is None:
            # Deleted meanwhile: the deletion may have looked for jobs before there was one.
            with suppress(Conflict), self.control.asking() as deploy:
                await deploy.cancel(job.id)
            raise NotFound(Reason.APP_NOT_FOUND)
        return self._shown(job)

    async def _adopt(self, app_id: int, op_key: str) -> bool:
        """Deploy has an active job of the app that the API forgot: its outcome is the app's."""
        with suppress(FunaiError), self.control.asking() as deploy:
            job = next((j for j in await deploy.jobs_by_app(app_id, 20) if not j.status.final), None)
            return job is not None and await self.slots.adopt(app_id, op_key, job)
        return False


async def _create_job(control: DeployClientPool, create: CreateJob, *, unsure: bool) -> Job:
    """Asked again under the same key while the outcome isn't known: what an earlier try made is the answer then."""
    for pause in (*ASK_AGAIN, None):
        try:
            with control.asking() as deploy:
                return await _create_once(deploy, create)
        except CalleeFailed as e:
            unsure = unsure or isinstance(e, OutcomeUnknown)
            if not unsure:
                raise
            if pause is None:
                raise e if isinstance(e, OutcomeUnknown) else OutcomeUnknown() from e
            await asyncio.sleep(pause)
    raise AssertionError("unreachable")


async def _create_once(deploy: DeployClient, create: CreateJob) -> Job:
    try:
        return await deploy.create(create)
    except Conflict as e:
        if e.reason != Reason.IDEMPOTENCY_MISMATCH or create.idempotency_key is None:
            raise
        return await deploy.job_by_key(create.idempotency_key)  # the app's variables were changed between two tries


def _earlier(releases: list[Release], number: int | None) -> Release:
    if number is not None:
        chosen = next((r for r in releases if r.number == number), None)
    else:
        live = next((r.number for r in releases if r.live), None)
        chosen = next((r for r in releases if live is not None and r.number < live), None)
    if chosen is None:
        raise NotFound(Reason.RELEASE_NOT_FOUND)
    return chosen
