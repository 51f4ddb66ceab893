"""``status``: what is deployed and what is under way. ``jobs``, ``cancel``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.output.output import duration
from funai.cli.output.views import queue_words
from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target, address, serves, state
from funai.cli.verbs.deploy import tell_failure
from funai.i18n.cli import phrase
from funai.i18n.language import headline

if TYPE_CHECKING:
    from datetime import datetime

    from funai.contracts.accounts import App, AppRuntime
    from funai.contracts.jobs import Job

PANEL = "Deploy"


def register(app: typer.Typer) -> None:
    verb(app, "status", panel=PANEL)(status)
    verb(app, "jobs", panel=PANEL)(jobs)
    verb(app, "cancel", panel=PANEL, epilog="funai cancel shop · funai cancel 42")(cancel)


async def status(session: Session, app: Target = None) -> None:
    """Show an app and its latest job; outside an app's folder, everything you run."""
    from funai.contracts.states import AppStatus

    try:
        found = await resolve(session, app)
    except Refused:
        if app is not None:
            raise
        everything = await session.api.apps(await session.user_id())
        deployed = (AppStatus.DEPLOYING, AppStatus.READY, AppStatus.FAILED)
        shown = [a for a in everything if a.app_status in deployed or a.serving]
        session.out.document([a.to_wire() for a in shown])
        if not everything:
            session.out.line(session.say("no_apps"))
        elif not shown:
            session.out.line(session.say("no_deploys"))
        else:
            rows = [
                (a.id, a.app_name, state(session, a), address(a) or headline(session.language, a.last_deploy_error))
                for a in shown
            ]
            session.out.table(["id", "name", "status", "url"], rows)
        return
    history = await session.api.history(found.user_id, found.id, 1)
    job = history[0] if history else None
    runtime = await _runtime(session, found) if job else None
    session.out.document(
        {"app": found.to_wire(), "job": job.to_wire() if job else None, "runtime": runtime.to_wire() if runtime else None}
    )
    _show(session, found, job, runtime)


async def _runtime(session: Session, app: App) -> AppRuntime | None:
    """Its node's word; None when it has none to give, or can't be asked now."""
    from funai.contracts.errors import FunaiError

    try:
        found = await session.api.runtime(app.user_id, app.id)
    except FunaiError:
        return None
    return found if found.exists else None


def _looping_words(session: Session, app: App, runtime: AppRuntime | None) -> str | None:
    """How an app that keeps ending ended last; None for one that doesn't."""
    if runtime is None or not runtime.crash_looping:
        return session.say("crash_looping") if runtime is None and app.crash_looping else None
    words = [session.say("crash_looping")]
    if runtime.last_exit_code is not None:
        words.append(session.say("last_exit", exit=runtime.last_exit_code))
    if runtime.last_exit_at is not None:
        words.append(since(session, runtime.last_exit_at))
    return session.say("comma").join(words)


def _show(session: Session, app: App, job: Job | None, runtime: AppRuntime | None) -> None:
    looping = _looping_words(session, app, runtime)
    session.out.facts(
        [
            ("app", f"{app.app_name} (id {app.id})"),
            ("status", state(session, app)),
            ("serves", serves(session, app)),
            ("runtime", looping),
            ("output", f"funai logs {app.id} --runtime" if looping else None),
            ("url", address(app)),
            ("last job", f"{job.id} {job.status}, {when(session, job)}" if job else None),
            ("phase", _phase(session, job) if job else None),
            ("node", job.runtime_node.name if job and job.runtime_node else None),
        ]
    )
    if job is not None and job.status == "FAILED" and not session.out.as_json:
        tell_failure(session, job)


async def jobs(
    session: Session,
    app: Target = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many, newest first.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="Jobs of all apps, also in an app's folder.")] = False,
) -> None:
    """List jobs, newest first: this folder's or the named app's, else all of yours."""
    target = None
    if not every:
        try:
            target = await resolve(session, app)
        except Refused:
            if app is not None:
                raise
    found = await (session.api.history(target.user_id, target.id, limit) if target else session.api.jobs(limit))
    session.out.document([j.to_wire() for j in found])
    rows = [
        (j.id, j.payload.get("appName") or j.payload.get("appId"), j.status, source(j), when(session, j), took(j), why(j))
        for j in found
    ]
    session.out.table(["id", "app", "status", "from", "when", "took", "why"], rows, empty=session.say("no_jobs"))


async def cancel(
    session: Session,
    target: Annotated[
        str | None,
        typer.Argument(metavar="APP|JOB", help="A job's id, or an app by name; else this folder's app.", show_default=False),
    ] = None,
    app: Annotated[str | None, typer.Option("--app", "-a", help="The app by id or name.", show_default=False)] = None,
) -> None:
    """Cancel a deploy under way. What served before goes on serving."""
    if app is None and target is not None and target.isascii() and target.isdigit():
        job = int(target)
    else:
        job = await _active_job(session, app or target)
    cancelled = await session.api.cancel(job)
    session.out.document(cancelled.to_wire())
    session.out.line(session.say("job_cancelled" if cancelled.status.final else "job_cancelling", job=job))


async def _active_job(session: Session, app: str | None) -> int:
    """Raises Refused when nothing is under way."""
    found = await resolve(session, app)
    for job in await session.api.history(found.user_id, found.id, 5):
        if not job.status.final:
            return job.id
    raise Refused(session.say("no_active_job"), Exit.NOT_FOUND)


def _phase(session: Session, job: Job) -> str | None:
    if job.status == "PENDING":
        words = queue_words(session.out, job.reason or str(job.queue_position or ""))
        return f"{session.say('phase_QUEUED')} {words}".strip()
    phase = job.payload.get("phase")
    return session.say(f"phase_{phase}") if job.status == "RUNNING" and phase in ("CLONE", "BUILD", "PUSH", "DEPLOY") else None


def source(job: Job) -> str:
    """Where the job's image comes from: a release, an image or a Git ref."""
    payload, result = job.payload, job.result
    if payload.get("moveOf"):
        return f"release {payload['moveOf']}, moved"
    if payload.get("rollbackOf"):
        return f"release {payload['rollbackOf']}"
    if result is not None and result.git_sha:
        return f"{payload.get('gitRef') or ''}@{result.git_sha[:8]}"
    return str(payload.get("image") or payload.get("gitRef") or "")


def when(session: Session, job: Job) -> str:
    return since(session, job.created_at)


def since(session: Session, moment: datetime) -> str:
    from datetime import UTC, datetime

    return ago((datetime.now(UTC) - moment).total_seconds(), session.language)


def took(job: Job) -> str:
    end = job.finished_at or (job.updated_at if job.status.final else None)
    return duration(max(0.0, (end - job.created_at).total_seconds())) if end else ""


def why(job: Job) -> str:
    """The failure's code, or what a waiting job waits for."""
    if job.failure is not None:
        return str(job.failure.code)
    return job.reason or ""


def ago(seconds: float, language: str = "en") -> str:
    """``just now``, ``5 min ago``, ``3 h ago``, ``12 d ago``."""
    if seconds < 60:
        return phrase("just_now", language)
    for limit, unit, size in ((3600, "min", 60), (86400, "h", 3600), (float("inf"), "d", 86400)):
        if seconds < limit:
            return phrase(f"{unit}_ago", language, n=int(seconds // size))
    return ""
