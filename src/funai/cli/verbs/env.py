"""``env set|unset|list``: an app's variables. Values are never shown again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from funai.cli.project.envfile import parse_env_file, parse_pair
from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target

App = Annotated[str | None, typer.Option("--app", "-a", help="Id or name; else this folder's app.", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="An app's variables: set, unset, list.")
    verb(group, "set", epilog="funai env set --app shop API_URL=https://api.example.com · funai env set --file .env")(set_env)
    verb(group, "unset")(unset)
    verb(group, "list")(list_env)
    app.add_typer(group, name="env", rich_help_panel="Apps")


async def set_env(
    session: Session,
    pairs: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE…", show_default=False)] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="Read NAME=VALUE lines from a file; - for standard input, which keeps them out of the shell's history.",
            show_default=False,
        ),
    ] = None,
    app: App = None,
) -> None:
    """Set variables; others stay as they are."""
    values: dict[str, str] = {}
    if file is not None:
        values.update(_from_file(file))
    for text in pairs or []:
        pair = parse_pair(text)
        if pair is None:
            # The text may be a secret typed without its name: show no more than its start.
            raise Refused(session.say("env_bad", text=f"{text[:8]}…" if len(text) > 8 else text))
        values[pair[0]] = pair[1]
    if not values:
        raise Refused(session.say("env_bad", text="?"), hint="funai env set NAME=VALUE")
    target = await resolve(session, app)
    await session.api.set_env(target.user_id, target.id, values)
    session.out.document({"appId": target.id, "set": sorted(values)})
    session.out.line(session.say("env_saved", app=target.id))


async def unset(
    session: Session, names: Annotated[list[str], typer.Argument(metavar="NAME…", show_default=False)], app: App = None
) -> None:
    """Remove variables."""
    target = await resolve(session, app)
    await session.api.unset_env(target.user_id, target.id, names)
    session.out.document({"appId": target.id, "unset": sorted(names)})
    session.out.line(session.say("env_saved", app=target.id))


async def list_env(session: Session, app: Target = None) -> None:
    """List an app's variables, with their values masked."""
    target = await resolve(session, app)
    found = await session.api.env(target.user_id, target.id)
    session.out.document([v.to_wire() for v in found])
    if not found:
        session.out.line(session.say("no_env"))
        return
    session.out.table(["name", "value"], [(v.name, v.value) for v in found])


def _from_file(file: Path) -> dict[str, str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise Refused(f"{file}: {e}") from e
    values, bad = parse_env_file(text)
    if bad:
        raise Refused(f"{file}: line {bad[0]}: NAME=VALUE")
    return values
