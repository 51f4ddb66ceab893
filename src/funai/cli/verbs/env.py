"""``env set|unset|list``: an app's variables. Values are never shown again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.project.envfile import decode, parse_env_file, parse_pair
from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target
from funai.contracts.apps.variables import read_at_build
from funai.contracts.errors import NotFound
from funai.contracts.rules import env_name_trouble

if TYPE_CHECKING:
    from funai.contracts.accounts import App

Named = Annotated[str | None, typer.Option("--app", "-a", help="Id or name, where it isn't given first.", show_default=False)]
MAX_FILE = 4 * 1024 * 1024


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="An app's variables: set, unset, list.")
    verb(group, "set", epilog="funai env set shop API_URL=https://api.example.com · funai env set shop --file .env")(set_env)
    verb(group, "unset", epilog="funai env unset shop API_URL")(unset)
    verb(group, "list")(list_env)
    app.add_typer(group, name="env", rich_help_panel="Apps")


async def set_env(
    session: Session,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[APP] NAME=VALUE…", help="The app first; else this folder's app.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            help="Read NAME=VALUE lines from a file; - for standard input, which keeps them out of the shell's history.",
            show_default=False,
        ),
    ] = None,
    build: Annotated[
        bool,
        typer.Option("--build", help="Builds get them too: for what bundlers read (VITE_…, NEXT_PUBLIC_…), not for secrets."),
    ] = False,
    app: Named = None,
    secret: Annotated[
        bool | None,
        typer.Option(
            "--secret/--no-secret",
            help="Mask these values in every log. Without it, what looks like a password or key is masked.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Set variables; others stay as they are."""
    pairs = list(words or [])
    if app is None and pairs and "=" not in pairs[0] and (len(pairs) > 1 or file is not None):
        app = pairs.pop(0)
    faults: list[str] = []
    values = _from_file(session, file, faults) if file is not None else {}
    values |= _from_words(session, pairs, faults)
    if faults:
        raise Refused("\n  ".join([session.say("env_refused", count=len(faults)), *faults]))
    if not values:
        raise Refused(session.say("env_bad", text="?"), hint="funai env set NAME=VALUE")
    target = await resolve(session, app)
    known = await session.api.set_env(target.user_id, target.id, values, build=build, secret=secret)
    unseen = read_at_build(v.name for v in known if v.name in values and not v.build)
    session.out.document({"appId": target.id, "set": sorted(values), "build": sorted(v.name for v in known if v.build)})
    session.out.line(session.say("env_saved", app=target.id))
    if unseen:
        session.out.line(session.say("env_at_build", names=", ".join(unseen)), "yellow")


async def unset(
    session: Session,
    words: Annotated[
        list[str], typer.Argument(metavar="[APP] NAME…", help="The app first; else this folder's app.", show_default=False)
    ],
    app: Named = None,
) -> None:
    """Remove variables."""
    target, names = await _whose(session, words, app)
    await session.api.unset_env(target.user_id, target.id, names)
    session.out.document({"appId": target.id, "unset": sorted(names)})
    session.out.line(session.say("env_saved", app=target.id))


async def _whose(session: Session, words: list[str], named: str | None) -> tuple[App, list[str]]:
    """The app and the variables' names. In an app's folder the first word may be a variable: it is where that app has one."""
    if named is not None or len(words) == 1:
        return await resolve(session, named), words
    try:
        here = await resolve(session, None)
    except Refused:
        return await resolve(session, words[0]), words[1:]
    if words[0] in {v.name for v in await session.api.env(here.user_id, here.id)}:
        return here, words
    try:
        return await resolve(session, words[0]), words[1:]
    except NotFound:
        session.known["app"] = here.id
        return here, words


async def list_env(session: Session, app: Target = None) -> None:
    """List an app's variables, with their values masked."""
    target = await resolve(session, app)
    found = await session.api.env(target.user_id, target.id)
    session.out.document([v.to_wire() for v in found])
    rows = [(v.name, v.value, "yes" if v.secret else "", "yes" if v.build else "") for v in found]
    session.out.table(["name", "value", "secret", "build"], rows, empty=session.say("no_env"))


def _from_words(session: Session, pairs: list[str], faults: list[str]) -> dict[str, str]:
    """``NAME=VALUE`` words; what is wrong with them is added to ``faults``."""
    values: dict[str, str] = {}
    for text in pairs:
        pair = parse_pair(text)
        if pair is None:
            # The text may be a secret typed without its name: show no more than its start.
            faults.append(session.say("env_bad", text=f"{text[:8]}…" if len(text) > 8 else text))
            continue
        values[pair[0]] = pair[1]
        if why := env_name_trouble(pair[0]):
            faults.append(why.en if session.language == "en" else why.zh)
    return values


def _from_file(session: Session, file: Path, faults: list[str]) -> dict[str, str]:
    """The file's variables; each line that can't be used is added to ``faults``. Raises Refused, OSError."""
    try:
        text = decode(sys.stdin.buffer.read(MAX_FILE) if str(file) == "-" else file.read_bytes())
    except UnicodeDecodeError as e:
        raise Refused(session.say("env_encoding", file=file, line=e.object[: e.start].count(b"\n") + 1)) from e
    found = parse_env_file(text)
    lines = {number: session.say("env_line") for number in found.bad}
    for name, number in found.lines.items():
        if why := env_name_trouble(name):
            lines[number] = why.en if session.language == "en" else why.zh
    faults += [session.say("env_where", file=file, line=number, why=lines[number]) for number in sorted(lines)]
    return found.values
