"""Which app a verb is about: named on the command line, linked by a ``.funai`` file, or found by the folder's Git remote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from funai.cli.exits import Exit
from funai.cli.session import Refused, Session
from funai.contracts.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funai.contracts.accounts import App

LINK = ".funai"
REMOTE = "funai"
_REPO = re.compile(r"[:/](?:[^/\s]+/)?u(?P<user>[1-9][0-9]{0,18})-app(?P<app>[1-9][0-9]{0,18})(?:\.git)?/?$")


@dataclass(frozen=True, slots=True)
class Guess:
    """An app's id and, when the source tells it, its owner's."""

    app_id: int
    user_id: int | None = None


def from_remote_url(url: str) -> Guess | None:
    """``ssh://git@host:2222/funai/u7-app12.git`` → app 12 of user 7; None for any other repository."""
    found = _REPO.search(url.strip())
    return Guess(int(found["app"]), int(found["user"])) if found else None


def from_git_remotes(listing: str) -> Guess | None:
    """From ``git config --get-regexp ^remote\\..*\\.url$``: the remote called ``funai`` first, then ``origin``, then any."""
    found: dict[str, Guess] = {}
    for line in listing.splitlines():
        key, _, url = line.partition(" ")
        guess = from_remote_url(url)
        if guess:
            found.setdefault(key.removeprefix("remote.").removesuffix(".url"), guess)
    for name in (REMOTE, "origin"):
        if name in found:
            return found[name]
    return next(iter(found.values()), None) if len(found) == 1 else None


def from_link(text: str) -> Guess | None:
    """The link file's ``app = 12`` line."""
    found = re.search(r"(?m)^\s*app\s*=\s*([1-9][0-9]{0,18})\s*$", text)
    return Guess(int(found[1])) if found else None


def render_link(app_id: int) -> str:
    return f"# This folder is that app's: `funai deploy` here deploys it.\napp = {app_id}\n"


def by_name(apps: Sequence[App], name: str) -> list[App]:
    """Apps of that exact name; else the ones that match without case."""
    exact = [a for a in apps if a.app_name == name]
    return exact or [a for a in apps if a.app_name.casefold() == name.casefold()]


async def resolve(session: Session, named: str | None) -> App:
    """The app, fetched. Raises Refused when several match, NotFound when there is none."""
    user_id = await session.user_id()
    if named is None:
        guess = await here(session.cwd)
        if guess is None:
            raise Refused(session.say("no_target"))
    elif named.isascii() and named.isdigit() and int(named) > 0:
        guess = Guess(int(named))
    else:
        return await _named(session, user_id, named)
    app = await session.api.app(guess.user_id or user_id, guess.app_id)
    session.known["app"] = app.id
    return app


async def _named(session: Session, user_id: int, name: str) -> App:
    found = by_name(await session.api.apps(user_id), name)
    if not found:
        from funai.contracts.errors import NotFound

        raise NotFound(Reason.APP_NOT_FOUND)
    if len(found) > 1:
        ids = ", ".join(str(a.id) for a in found)
        raise Refused(session.say("name_ambiguous", name=name, ids=ids))
    session.known["app"] = found[0].id
    return found[0]


async def here(start: Path) -> Guess | None:
    """The app of a folder, by the link file in it or above, or by its Git remotes."""
    start = start.absolute()
    for folder in (start, *start.parents):
        link = folder / LINK
        if link.is_file():
            guess = from_link(link.read_text(encoding="utf-8", errors="replace"))
            if guess is None:
                raise Refused(f"{link}: no line like `app = 12`", Exit.USAGE)
            return guess
        if (folder / ".git").exists():
            return from_git_remotes(await git(folder, "config", "--get-regexp", r"^remote\..*\.url$"))
    return None


async def git(folder: Path, *arguments: str) -> str:
    """A quick git question; empty when git is missing or says no."""
    from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, run

    try:
        done = await run(Command(("git", "-C", str(folder), *arguments)), timeout=10)
    except (ProcessMissing, ProcessTimeout):
        return ""
    return done.text if done.code == 0 else ""
