"""``apps create|list|info|delete|link``: the apps you own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.project.target import LINK, REMOTE, git, render_link, resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb

if TYPE_CHECKING:
    from funai.contracts.accounts import App

Target = Annotated[str | None, typer.Argument(metavar="APP", help="Id or name; else this folder's app.", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Your apps: create, list, info, link, delete.")
    verb(group, "create", epilog="funai apps create shop --link")(create)
    verb(group, "list")(list_apps)
    verb(group, "info")(info)
    verb(group, "link")(link)
    verb(group, "delete")(delete)
    app.add_typer(group, name="apps", rich_help_panel="Apps")


async def create(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(help="A name; the platform picks one when left out.", show_default=False)
    ] = None,
    description: Annotated[str | None, typer.Option(help="A line for your own memory.", show_default=False)] = None,
    link_here: Annotated[
        bool, typer.Option("--link", help="Make this folder stand for the app: a .funai file and a Git remote.")
    ] = False,
) -> None:
    """Make an app, with a Git repository to push to."""
    from funai.contracts.accounts import CreateApp
    from funai.contracts.states import RepoStatus

    made = await session.api.create_app(await session.user_id(), CreateApp(app_name=name, description=description))
    if link_here:
        await _link(session, made)
    session.out.document(made.to_wire())
    session.out.line(session.say("app_created", name=made.app_name, id=made.id), "green")
    if session.out.as_json or not made.repo_ssh_url:
        return
    session.out.line(session.say("app_next_push"))
    if not link_here:
        session.out.line(f"  git remote add {REMOTE} {made.repo_ssh_url}")
    session.out.line(f"  git push {REMOTE} HEAD:main")
    session.out.line("  funai deploy" if link_here else f"  funai deploy {made.id}")
    if made.repo_status is RepoStatus.PENDING:
        session.out.aside(f"{made.repo_ssh_url}: {session.say('repo_pending')}", "yellow")


async def list_apps(session: Session) -> None:
    """List your apps."""
    apps = await session.api.apps(await session.user_id())
    session.out.document([a.to_wire() for a in apps])
    session.out.table(
        ["id", "name", "status", "url"],
        [(a.id, a.app_name, state(session, a), address(a)) for a in apps],
        empty=session.say("no_apps"),
    )


async def info(session: Session, app: Target = None) -> None:
    """Show one app: its state, address and repository."""
    found = await resolve(session, app)
    session.out.document(found.to_wire())
    session.out.facts(
        [
            ("name", found.app_name),
            ("id", found.id),
            ("status", state(session, found)),
            ("serves", serves(session, found)),
            ("url", address(found)),
            ("alias", found.alias_url),
            ("repository", _repository(session, found)),
            ("port", found.container_port),
            ("description", found.description),
            ("last job", found.last_job_id),
            ("last error", found.last_deploy_error),
            ("created", f"{found.created_at:%Y-%m-%d %H:%M} UTC"),
        ]
    )


def _repository(session: Session, app: App) -> str | None:
    from funai.contracts.states import RepoStatus

    pending = app.repo_ssh_url and app.repo_status is RepoStatus.PENDING
    return f"{app.repo_ssh_url} ({session.say('repo_pending')})" if pending else app.repo_ssh_url


async def link(session: Session, app: Annotated[str, typer.Argument(metavar="APP", help="Id or name.")]) -> None:
    """Make this folder stand for an app: writes .funai and, in a Git repository, the remote `funai`."""
    found = await resolve(session, app)
    await _link(session, found)
    session.out.document({"appId": found.id, "linked": True})


async def delete(
    session: Session,
    app: Annotated[str, typer.Argument(metavar="APP", help="Id or name; never guessed from the folder.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete an app with its container, images, repository and data."""
    found = await resolve(session, app)
    if not yes:
        if session.out.as_json or not sys.stdin.isatty():
            raise Refused(session.say("ask_no_tty"))
        if not typer.confirm(session.say("app_delete_ask", name=found.app_name, id=found.id), err=True):
            raise Refused(session.say("aborted"))
    report = await session.api.delete_app(found.user_id, found.id)
    session.out.document(report.to_wire())
    session.out.line(session.say("app_deleted", name=found.app_name, id=found.id))
    for step in report.steps:
        if not step.ok:
            session.out.aside(f"  {step.step}: {step.detail or ''}", "yellow")


def address(app: App) -> str | None:
    """Where the app answers, when it does."""
    return app.access_url or app.deploy_access_url or (app.serving.address if app.serving else None)


def state(session: Session, app: App) -> str:
    """What serves and what happened last in a few words: ``READY; the latest deploy failed``."""
    from funai.contracts.states import AppStatus

    words = app.app_status.name
    if app.serving and app.app_status is AppStatus.FAILED:
        words = session.say("serves_after_failure")
    elif app.serving and app.app_status is AppStatus.DEPLOYING:
        words = session.say("serves_meanwhile")
    return f"{words}{session.say('comma')}{session.say('crash_looping')}" if app.crash_looping else words


def serves(session: Session, app: App) -> str | None:
    """The release that serves, and since when."""
    if app.serving is None or app.serving.release is None:
        return None
    since = f"{app.serving.since:%Y-%m-%d %H:%M} UTC" if app.serving.since else "?"
    return session.say("serves_since", release=app.serving.release, since=since)


async def _link(session: Session, app: App) -> None:
    (session.cwd / LINK).write_text(render_link(app.id), encoding="utf-8")
    session.out.aside(session.say("app_linked", id=app.id))
    if app.repo_ssh_url and (session.cwd / ".git").exists():
        known = await git(session.cwd, "config", "--get", f"remote.{REMOTE}.url")
        await git(session.cwd, "remote", *(("set-url",) if known else ("add",)), REMOTE, app.repo_ssh_url)
