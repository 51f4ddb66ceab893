"""``funai import users|apps``: an earlier installation's accounts and apps, from its tables into the API's database."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer

from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.operator.serve import Config, databases_of

From = Annotated[str, typer.Option("--from", help="The earlier installation's database; a JDBC address without login will do.")]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=COLUMN",
        help="In which column a field is, such as user_name=account; again for more. Without it the usual names are tried.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Take users and apps of an earlier installation, with their ids.")
    verb(group, "users", server=False)(users)
    verb(group, "apps", server=False)(apps)
    app.add_typer(group, name="import", rich_help_panel="Operate")


async def users(session: Session, source: From, column: Column = None, config: Config = None) -> None:
    """Take the accounts of fun_ai_user; passwords go on working. Run again, it takes what is new."""
    await _import(session, source, column, config, "import_users")


async def apps(session: Session, source: From, column: Column = None, config: Config = None) -> None:
    """Take the apps of fun_ai_app; import the users first. Run again, it takes what is new."""
    await _import(session, source, column, config, "import_apps")


async def _import(session: Session, source: str, column: list[str] | None, config: Any, what: str) -> None:
    columns = dict(_pair(session, text) for text in column or ())
    importing, main = importlib.import_module("funai.api.importing"), importlib.import_module("funai.api.main")
    async with databases_of("api", config, None) as into, databases_of("api", config, source) as theirs:
        await main.upgrade(into)
        report = await getattr(importing, what)(theirs, into, columns)
    session.out.document({"taken": report.taken, "known": report.known, "notes": report.notes})
    for note in report.notes:
        session.out.line(f"! {note}", "yellow")
    session.out.line(session.say("imported", taken=report.taken, known=report.known), "green")


def _pair(session: Session, text: str) -> tuple[str, str]:
    """Raises Refused for what is not ``FIELD=COLUMN``."""
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        raise Refused(session.say("column_bad", text=text[:80]))
    return name, column
