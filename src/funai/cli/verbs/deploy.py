"""``deploy``: a job, watched to its end."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit, exit_for_job
from funai.cli.output.output import duration
from funai.cli.output.progress import Progress
from funai.cli.project.target import REMOTE, git, resolve
from funai.cli.session import Ended, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target
from funai.i18n.hints import hint
from funai.i18n.language import note_part

if TYPE_CHECKING:
    from funai.contracts.accounts import App
    from funai.contracts.jobs import Job

Text = str | None
PUSH_SECONDS = 600


def register(app: typer.Typer) -> None:
    verb(app, "deploy", panel="Deploy", epilog="funai deploy shop --ref v1.2 --follow")(deploy)


async def deploy(
    session: Session,
    app: Target = None,
    ref: Annotated[
        Text, typer.Option(help="Branch, tag or commit; the platform's default (main) when left out.", show_default=False)
    ] = None,
    image: Annotated[Text, typer.Option(help="Run this image instead of building from Git.", show_default=False)] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Port the app listens on (3000).", show_default=False)
    ] = None,
    tag: Annotated[Text, typer.Option(help="Tag for the image that is built (latest).", show_default=False)] = None,
    health_path: Annotated[Text, typer.Option(help="Path that must answer below 500 (/).", show_default=False)] = None,
    dockerfile: Annotated[Text, typer.Option(help="Dockerfile, relative to the repository.", show_default=False)] = None,
    context: Annotated[Text, typer.Option(help="Build context, relative to the repository.", show_default=False)] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build anew, and empty the app's build caches first.")] = False,
    push: Annotated[bool, typer.Option("--push", help="First push this folder's HEAD to the app's main branch.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show the build log while it runs.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start it and come back at once.")] = False,
    idempotency_key: Annotated[Text, typer.Option(help="The same key starts the same deploy once.", show_default=False)] = None,
) -> None:
    """Deploy an app, and watch it until it serves. Ctrl-C stops watching; the deploy goes on."""
    from funai.contracts.accounts import CreateDeploy

    target = await resolve(session, app)
    if push:
        await _push(session, target)
    wishes = CreateDeploy(
        git_ref=ref,
        image=image,
        container_port=port,
        image_tag=tag,
        health_path=health_path,
        dockerfile_path=dockerfile,
        build_context=context,
        no_cache=no_cache or None,
    )
    job = await session.api.deploy(target.user_id, target.id, wishes, idempotency_key=idempotency_key)
    await see_through(session, target, job, follow=follow, detach=detach)


async def see_through(session: Session, app: App, job: Job, *, follow: bool, detach: bool) -> None:
    """Watch a job that was just created, and end with what became of it. Raises Ended unless it succeeded."""
    from funai.cli.follow import watch
    from funai.cli.output.views import view_for

    session.known["job"] = job.id
    if detach:
        session.out.document(job.to_wire())
        session.out.line(session.say("job_detached", job=job.id, app=app.id))
        return
    session.out.line(session.say("job_created", job=job.id, app=app.app_name))
    if follow:
        session.out.event({"event": "job", "job": job.to_wire()})
    session.on_interrupt = lambda: session.out.aside(session.say("job_detached", job=job.id, app=app.id), "yellow")
    progress = Progress(time.monotonic())
    with view_for(session.out, progress, stream=follow) as view:
        job = await watch(session.api, job, progress, view, logs=follow)
    session.on_interrupt = None
    if follow:
        session.out.event({"event": "end", "job": job.to_wire()})
    else:
        session.out.document(job.to_wire())
    _end(session, job, progress.elapsed(time.monotonic()))


def _end(session: Session, job: Job, seconds: float) -> None:
    if job.status == "SUCCEEDED":
        session.out.line(session.say("job_succeeded", time=duration(seconds)), "bold green")
        session.out.line(job.access_url or job.deploy_url or "", "bold")
        for note in (job.result.notes if job.result else None) or []:
            session.out.aside(note_part(session.language, note), "yellow")
        return
    if job.status == "CANCELLED":
        session.out.line(session.say("job_cancelled", job=job.id), "yellow")
        raise Ended(Exit.CANCELLED)
    tell_failure(session, job)
    raise Ended(exit_for_job(job.status, _blame(job)))


def tell_failure(session: Session, job: Job) -> None:
    """Why a job failed, and what to do about it, on stderr."""
    code = str(job.failure.code) if job.failure else job.reason or "FAILED"
    session.out.error(
        f"{session.say('job_failed', code=code)}: {job.error_message or ''}".rstrip(": "),
        hint(code, session.language, session.known),
        reason=code,
        jobId=job.id,
        exitCode=int(exit_for_job("FAILED", _blame(job))),
    )


def _blame(job: Job) -> str | None:
    from funai.contracts.reasons import FailureCode

    if job.failure is None:
        return None
    if job.failure.blame is not None:
        return str(job.failure.blame)
    code = str(job.failure.code)
    return str(FailureCode(code).blame) if code in FailureCode.__members__ else None


async def _push(session: Session, app: App) -> None:
    from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, attached, run
    from funai.cli.session import Refused

    where = await git(session.cwd, "config", "--get", f"remote.{REMOTE}.url") or app.repo_ssh_url
    if not where:
        raise Refused(session.say("no_target"))
    if await git(session.cwd, "rev-parse", "--show-object-format") == "sha256":
        raise Refused(session.say("sha256_repository"), Exit.FAILED, reason="GIT_UNSUPPORTED", hint=session.say("sha256_mend"))
    # The push is the person's own: it needs their SSH agent, their Git settings, and their terminal for what ssh asks.
    command = Command(("git", "-C", str(session.cwd), "push", where, "HEAD:main"), env=dict(session.environ))
    try:
        if sys.stdin.isatty() and sys.stderr.isatty():
            code, said = await attached(command), ""
        else:
            done = await run(command, timeout=PUSH_SECONDS)
            code, said = done.code, done.error_text
    except (ProcessMissing, ProcessTimeout) as e:
        raise Refused(f"git push: {e}", Exit.FAILED) from e
    if code != 0:
        by_hand = session.say("push_by_hand", command=shlex.join(("git", "push", where, "HEAD:main")))
        raise Refused(f"git push:\n{said}" if said else session.say("push_failed", code=code), Exit.FAILED, hint=by_hand)
    session.out.aside(said)
