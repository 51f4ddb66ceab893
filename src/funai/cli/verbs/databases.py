"""``db …``: an app's databases and their backups, and the services' own tables. ``admin orphans``: what deleted apps left."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target
from funai.cli.verbs.operator import serve
from funai.i18n.sizes import size

if TYPE_CHECKING:
    from funai.base.clients.databases import DatabasesClient
    from funai.contracts.apps.databases import AppDatabases, DatabaseWish, Orphans

KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind", "-k", metavar="postgres|mongo", help="Which, where there is more than one kind.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
BackupOption = Annotated[
    str | None, typer.Option("--backup", "-b", metavar="NAME", help="Which backup; else the newest.", show_default=False)
]
FromOption = Annotated[
    int | None,
    typer.Option("--from", metavar="ID", min=1, help="Another app of yours, also a deleted one.", show_default=False),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="An app's databases: create, info, url, rotate, drop, backup, restore; the services' own."
    )
    verb(group, "create", epilog="funai db create shop --kind postgres")(create)
    verb(group, "info")(info)
    verb(group, "url")(url)
    verb(group, "rotate")(rotate)
    verb(group, "drop")(drop)
    verb(group, "backup")(backup)
    verb(group, "restore", epilog="funai db restore shop --from 12 --backup postgres-20260131T090000123Z")(restore)
    serve.add_database_verbs(group)
    app.add_typer(group, name="db", rich_help_panel="Apps")
    admin = typer.Typer(no_args_is_help=True, help="For an admin: orphans, what deleted apps left behind.")
    verb(admin, "orphans", epilog="funai admin orphans --delete")(orphans)
    app.add_typer(admin, name="admin", rich_help_panel="Operate")


def _client(session: Session) -> DatabasesClient:
    from funai.base.clients.databases import DatabasesClient

    return DatabasesClient(session.api)


def _wish(session: Session, kind: str | None, backup: str | None = None, from_app: int | None = None) -> DatabaseWish:
    from pydantic import ValidationError

    from funai.contracts.apps.databases import DatabaseWish

    try:
        return DatabaseWish.model_validate({"kind": kind, "backup": backup, "fromAppId": from_app})
    except ValidationError as e:
        field = str(e.errors()[0]["loc"][0])
        raise Refused(session.say("db_bad", what="--kind" if field == "kind" else "--backup")) from e


async def create(session: Session, app: Target = None, kind: KindOption = None) -> None:
    """Make a database for an app. Its next deploy or start gets the address as a variable."""
    wish, target = _wish(session, kind), await resolve(session, app)
    _show(session, await _client(session).create(target.user_id, target.id, wish))
    session.out.line(session.say("db_created", app=target.id), "green")


async def info(session: Session, app: Target = None) -> None:
    """Show an app's databases with their sizes, and its backups."""
    target = await resolve(session, app)
    _show(session, await _client(session).info(target.user_id, target.id))


async def url(session: Session, app: Target = None, kind: KindOption = None) -> None:
    """Print the address with its password, as the app gets it."""
    wish, target = _wish(session, kind), await resolve(session, app)
    found = await _client(session).url(target.user_id, target.id, wish)
    session.out.document(found.to_wire())
    session.out.line(found.url)
    session.out.aside(session.say("db_names", names=", ".join(found.variables)))


async def rotate(session: Session, app: Target = None, kind: KindOption = None) -> None:
    """Give an app another password. The running container has the old one until its next deploy or start."""
    wish, target = _wish(session, kind), await resolve(session, app)
    found = await _client(session).rotate(target.user_id, target.id, wish)
    session.out.document(found.to_wire())
    session.out.line(session.say("db_rotated", app=target.id), "yellow")


async def drop(session: Session, app: Target = None, kind: KindOption = None, yes: Yes = False) -> None:
    """Drop an app's database with all its data. Its backups stay."""
    wish, target = _wish(session, kind), await resolve(session, app)
    _confirm(session, yes, session.say("db_drop_ask", app=target.app_name, id=target.id))
    gone = await _client(session).drop(target.user_id, target.id, wish)
    session.out.document(gone.to_wire())
    session.out.line(session.say("db_dropped", names=", ".join(gone.dropped) or "-"))


async def backup(session: Session, app: Target = None, kind: KindOption = None) -> None:
    """Back an app's database up now."""
    wish, target = _wish(session, kind), await resolve(session, app)
    made = await _client(session).backup(target.user_id, target.id, wish)
    session.out.document(made.to_wire())
    session.out.line(session.say("db_backed_up", name=made.name, size=size(made.size_bytes, "-")), "green")


async def restore(
    session: Session,
    app: Target = None,
    kind: KindOption = None,
    name: BackupOption = None,
    source: FromOption = None,
    yes: Yes = False,
) -> None:
    """Replace what an app's database holds by a backup of it, or of another app of yours."""
    wish, target = _wish(session, kind, name, source), await resolve(session, app)
    _confirm(session, yes, session.say("db_restore_ask", app=target.app_name, id=target.id))
    _show(session, await _client(session).restore(target.user_id, target.id, wish))
    session.out.line(session.say("db_restored", app=target.id), "green")


def _confirm(session: Session, yes: bool, question: str) -> None:
    """Raises Refused without a yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(session.say("ask_no_tty"))
    if not typer.confirm(question, err=True):
        raise Refused(session.say("aborted"))


def _show(session: Session, found: AppDatabases) -> None:
    session.out.document(found.to_wire())
    for note in found.notes:
        session.out.aside(note)
    limited = session.say("db_read_only")
    rows = [
        (
            d.kind.value,
            d.name,
            size(d.size_bytes),
            size(d.quota_bytes or None),
            limited if d.read_only else None,
        )
        for d in found.databases
    ]
    session.out.table(
        ["kind", "name", "size", "quota", "state"], rows, empty=session.say("no_db", kinds=", ".join(found.kinds) or "-")
    )
    if found.backups:
        backups = [(b.name, size(b.size_bytes), f"{b.created_at:%Y-%m-%d %H:%M}") for b in found.backups]
        session.out.table(["backup", "size", "at (UTC)"], backups)


async def orphans(
    session: Session,
    delete: Annotated[bool, typer.Option("--delete", help="Delete what has looked orphaned for the grace.")] = False,
    grace: Annotated[float, typer.Option("--grace", metavar="HOURS", min=0, max=8760, help="How long.")] = 24,
    yes: Yes = False,
) -> None:
    """List what deleted apps left: databases, containers, repositories, images; with --delete remove them."""
    if delete:
        _confirm(session, yes, session.say("orphans_ask", hours=f"{grace:g}"))
    found = await _client(session).orphans(delete=delete, grace_hours=grace)
    session.out.document([o.to_wire() for o in found])
    rows = [row for node in found for row in _orphan_rows(session, node)]
    session.out.table(["node", "what", "state"], rows, empty=session.say("no_orphans"))


def _orphan_rows(session: Session, node: Orphans) -> list[tuple[str, str, str]]:
    def state(name: str) -> str:
        return session.say("orphan_deleted" if name in node.deleted else "orphan_waits" if name in node.waiting else "orphan")

    listed = [(node.node or "-", name, state(name)) for name in node.found]
    return [*listed, *((node.node or "-", text, session.say("orphan_failed")) for text in node.failed)]
