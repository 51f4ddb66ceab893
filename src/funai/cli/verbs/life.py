"""``stop``, ``start``, ``rollback``, ``releases``, ``open``: an app's life after its deploy."""

from __future__ import annotations

from typing import Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target, address
from funai.cli.verbs.deploy import see_through
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus

PANEL = "Apps"


def register(app: typer.Typer) -> None:
    verb(app, "stop", panel=PANEL)(stop)
    verb(app, "start", panel=PANEL)(start)
    verb(app, "rollback", panel="Deploy", epilog="funai rollback shop --release 3")(rollback)
    verb(app, "releases", panel="Deploy")(releases)
    verb(app, "open", panel=PANEL)(open_app)


async def stop(session: Session, app: Target = None) -> None:
    """Take an app off line. Its release is kept; the running slot is freed."""
    target = await resolve(session, app)
    stopped = await session.api.app_call("stop", target.user_id, target.id)
    session.out.document(stopped.to_wire())
    session.out.line(session.say("stopped", app=target.app_name, id=target.id))


async def start(session: Session, app: Target = None) -> None:
    """Start a stopped app's release again, without a build. A node that lost it gets it from the registry, as a job."""
    target = await resolve(session, app)
    started = await session.api.app_call("start", target.user_id, target.id)
    if started.app_status is AppStatus.DEPLOYING and started.last_job_id:
        await see_through(session, target, await session.api.job(started.last_job_id), follow=False, detach=False)
        return
    session.out.document(started.to_wire())
    session.out.line(session.say("started", app=target.app_name), "green")
    session.out.line(address(started) or "", "bold")


async def rollback(
    session: Session,
    app: Target = None,
    release: Annotated[
        int | None,
        typer.Option(
            "--release", "-r", min=1, help="Its number; the one before the live one when left out.", show_default=False
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Start it and come back at once.")] = False,
) -> None:
    """Run an earlier release again: its image by digest, and its variables. No build."""
    target = await resolve(session, app)
    job = await session.api.rollback(target.user_id, target.id, release)
    await see_through(session, target, job, follow=False, detach=detach)


async def releases(session: Session, app: Target = None) -> None:
    """List an app's releases, newest first."""
    target = await resolve(session, app)
    found = await session.api.releases(target.user_id, target.id)
    session.out.document([r.to_wire() for r in found])
    rows = [
        (
            r.number,
            session.say("yes") if r.live else None,
            f"{r.created_at:%Y-%m-%d %H:%M}",
            r.git_ref,
            (r.git_sha or "")[:8],
            (r.digest or "").removeprefix("sha256:")[:12],
            r.job_id,
        )
        for r in found
    ]
    session.out.table(["release", "live", "at (UTC)", "ref", "commit", "digest", "job"], rows, empty=session.say("no_releases"))


async def open_app(session: Session, app: Target = None) -> None:
    """Open an app in the browser."""
    target = await resolve(session, app)
    url = address(target)
    if not url:
        raise Refused(session.say("not_ready", app=target.app_name), Exit.REFUSED, reason=Reason.APP_NOT_RUNNING)
    session.out.document({"appId": target.id, "url": url})
    if session.out.tty:
        typer.launch(url)
        session.out.aside(session.say("opened", url=url))
    session.out.line(url)
