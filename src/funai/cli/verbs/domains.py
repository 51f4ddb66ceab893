"""``domains add|list|check|remove``: an app's own domains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.project.target import resolve
from funai.cli.session import Ended, Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from funai.contracts.accounts import App
    from funai.contracts.apps.domains import Domain

Words = Annotated[
    list[str], typer.Argument(metavar="[APP] DOMAIN", help="The app first; else this folder's app.", show_default=False)
]
Named = Annotated[str | None, typer.Option("--app", "-a", help="Id or name, where it isn't given first.", show_default=False)]
WAIT_SECONDS, CHECK_SECONDS = 60.0, 15.0
_PAUSE = 1.0
_UNDER_WAY = ("PENDING", "ISSUING")


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="An app's own domains, with certificates: add, list, check, remove.")
    verb(group, "add", epilog="funai domains add shop.example.com · funai domains add shop shop.example.com")(add)
    verb(group, "list")(list_domains)
    verb(group, "check", epilog="funai domains check shop.example.com")(check)
    verb(group, "remove", epilog="funai domains remove shop.example.com")(remove)
    app.add_typer(group, name="domains", rich_help_panel="Apps")


async def add(
    session: Session,
    words: Words,
    app: Named = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is in service, at most a minute.")] = True,
) -> None:
    """Serve an app at a domain of yours. Point the domain's A record at the platform first."""
    target, name = await _whose(session, words, app)
    found = await session.api.add_domain(target.user_id, target.id, name)
    session.out.line(session.say("domain_added", name=found.name, app=target.id))
    await _say(session, await _followed(session, target, found, _settled, WAIT_SECONDS if wait else 0), must_serve=wait)


async def check(session: Session, words: Words, app: Named = None) -> None:
    """Look at a domain's DNS and certificate again now."""
    target, name = await _whose(session, words, app)
    before = await session.api.check_domain(target.user_id, target.id, name)
    await _say(session, await _followed(session, target, before, lambda d: d != before, CHECK_SECONDS))


async def list_domains(session: Session, app: Target = None) -> None:
    """List an app's domains, their state and what hinders them."""
    target = await resolve(session, app)
    found = await session.api.domains(target.user_id, target.id)
    session.out.document([d.to_wire() for d in found])
    rows = [(d.name, d.state.value, d.url or "", f"{d.not_after:%Y-%m-%d}" if d.not_after else "") for d in found]
    session.out.table(["domain", "state", "url", "certificate until"], rows, empty=session.say("no_domains"))
    for d in found:
        if d.message:
            session.out.line(f"{d.name}: {d.message}", "yellow")


async def remove(session: Session, words: Words, app: Named = None) -> None:
    """Take a domain away from an app; its certificate is forgotten."""
    target, name = await _whose(session, words, app)
    await session.api.remove_domain(target.user_id, target.id, name)
    session.out.document({"appId": target.id, "removed": name})
    session.out.line(session.say("domain_removed", name=name, app=target.id))


async def _whose(session: Session, words: list[str], app: str | None) -> tuple[App, str]:
    """Raises Refused."""
    if len(words) > 2 or (len(words) == 2 and app is not None):
        raise Refused(session.say("domain_words"), hint="funai domains --help")
    named = words[0] if len(words) == 2 else app
    return await resolve(session, named), words[-1].strip()


async def _followed(session: Session, target: App, found: Domain, done: Callable[[Domain], bool], seconds: float) -> Domain:
    """The domain once ``done``, or as it is when the time is over."""
    from asyncio import sleep

    until = time.monotonic() + seconds
    while not done(found) and time.monotonic() < until:
        await sleep(_PAUSE)
        found = next((d for d in await session.api.domains(target.user_id, target.id) if d.name == found.name), found)
    return found


async def _say(session: Session, found: Domain, *, must_serve: bool = True) -> None:
    """Raises Ended where the domain is not in service."""
    session.out.document(found.to_wire())
    if found.url:
        session.out.line(found.url, "bold")
    if found.message:
        session.out.line(found.message, "yellow")
    elif not found.url:
        session.out.line(session.say("domain_under_way", name=found.name))
    if must_serve and not found.url:
        raise Ended(Exit.FAILED)


def _settled(found: Domain) -> bool:
    return found.reason is not None or found.state.value not in _UNDER_WAY
