"""``login``, ``logout``, ``register``, ``whoami``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from funai.cli.project import profile
from funai.cli.session import Refused, Session
from funai.cli.verb import verb

PANEL = "Account"
User = Annotated[str | None, typer.Option("--user", "-u", help="User name; asked for when left out.", show_default=False)]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def register(app: typer.Typer) -> None:
    verb(
        app,
        "login",
        panel=PANEL,
        epilog="echo $PASSWORD | funai login --server https://deploy.example.com -u ann --password-stdin",
    )(login)
    verb(app, "logout", panel=PANEL)(logout)
    verb(app, "register", panel=PANEL)(register_user)
    verb(app, "whoami", panel=PANEL)(whoami)
    verb(app, "password", panel=PANEL)(password)
    verb(app, "api-key", panel=PANEL)(api_key)


async def login(session: Session, user: User = None, password_stdin: FromStdin = False) -> None:
    """Log in and remember it for the next calls."""
    name, password = _credentials(user, password_stdin, session, confirm=False)
    await _log_in(session, name, password)


async def register_user(session: Session, user: User = None, password_stdin: FromStdin = False) -> None:
    """Make an account, and log in with it."""
    name, password = _credentials(user, password_stdin, session, confirm=True)
    client = session.client({})
    try:
        await client.register(name, password)
    finally:
        await client.close()
    session.out.line(session.say("registered", user=name))
    await _log_in(session, name, password)


def logout(session: Session) -> None:
    """Forget the login on this machine."""
    server = session.access.server
    known = server in session.profile.logins
    if known:
        profile.save(session.config_file, session.profile.without(server))
    session.out.document({"server": server, "loggedOut": known})
    session.out.line(session.say("logged_out" if known else "not_logged_in", server=server))


async def whoami(session: Session) -> None:
    """Show who you are here, and where here is."""
    me = await session.api.me()
    session.out.document({**me.to_wire(), "server": session.access.server})
    session.out.facts(
        [("user", me.user_name), ("id", me.id), ("admin", "yes" if me.admin else None), ("server", session.access.server)]
    )


async def password(
    session: Session,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the old and the new password as two lines of standard input.")
    ] = False,
) -> None:
    """Change your password. Every other login and the API key end."""
    old, new = _two_passwords(session, password_stdin)
    token = await session.api.change_password(old, new)
    login = session.access.login
    if login is not None and not session.access.api_key:  # a key may belong to another user than the login
        kept = profile.Login(login.user, login.user_id, token)
        profile.save(session.config_file, session.profile.with_login(session.access.server, kept))
    session.out.document({"changed": True})
    session.out.line(session.say("password_changed"), "green")


async def api_key(session: Session) -> None:
    """Make a new API key for scripts. The one before it ends."""
    key = await session.api.renew_api_key()
    session.out.document({"apiKey": key})
    session.out.line(key)
    session.out.aside(session.say("api_key_once"))


def _two_passwords(session: Session, from_stdin: bool) -> tuple[str, str]:
    if from_stdin:
        lines = sys.stdin.read().splitlines()
        if len(lines) != 2 or not all(lines):
            raise Refused(session.say("password_stdin_two"))
        return lines[0], lines[1]
    if not sys.stdin.isatty():
        raise Refused(session.say("password_no_tty"))
    old = str(typer.prompt("password", hide_input=True, err=True))
    return old, str(typer.prompt("new password", hide_input=True, confirmation_prompt=True, err=True))


async def _log_in(session: Session, name: str, password: str) -> None:
    client = session.client({})
    try:
        user, token = await client.login(name, password)
    finally:
        await client.close()
    server = session.access.server
    kept = profile.Login(user.user_name, user.id, token)
    profile.save(session.config_file, session.profile.with_login(server, kept))
    session.out.document({**user.to_wire(), "server": server})
    session.out.line(session.say("logged_in", server=server, user=user.user_name), "green")


def _credentials(user: str | None, from_stdin: bool, session: Session, *, confirm: bool) -> tuple[str, str]:
    interactive = sys.stdin.isatty()
    if user is None:
        if from_stdin or not interactive:
            verb = "register" if confirm else "login"
            raise Refused(session.say("user_missing"), hint=f"funai {verb} --user NAME --password-stdin")
        user = str(typer.prompt(session.say("ask_user"), err=True))
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise Refused(session.say("password_stdin_empty"))
        return user, password
    if not interactive:
        raise Refused(session.say("password_no_tty"))
    return user, str(typer.prompt(session.say("ask_password"), hide_input=True, confirmation_prompt=confirm, err=True))
