"""``keys add|list|remove``: the SSH keys a person pushes with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.contracts.reasons import Reason

DEFAULT_KEYS = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")
PRIVATE = "PRIVATE KEY"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="SSH keys you push with: add, list, remove.")
    verb(group, "add")(add)
    verb(group, "list")(list_keys)
    verb(group, "remove")(remove)
    app.add_typer(group, name="keys", rich_help_panel="Account")


async def add(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(help="The .pub file; ~/.ssh/id_ed25519.pub when left out, - for standard input.", show_default=False),
    ] = None,
    title: Annotated[str, typer.Option(help="A name to know it by; this machine's when left out.")] = "",
) -> None:
    """Register a public key, so that you can git push with it."""
    text = _read_stdin(session) if str(file) == "-" else _read(session, file or await _default_key(session))
    comment = " ".join(text.split()[2:])[:100]
    key = await session.api.add_key(title or comment or os.uname().nodename[:100], text.strip())
    session.out.document(key.to_wire())
    session.out.line(session.say("key_added", title=key.title, fingerprint=key.fingerprint), "green")


async def list_keys(session: Session) -> None:
    """List your registered keys."""
    keys = await session.api.keys()
    session.out.document([k.to_wire() for k in keys])
    session.out.table(
        ["id", "title", "fingerprint", "added"],
        [(k.id, k.title, k.fingerprint, f"{k.created_at:%Y-%m-%d}") for k in keys],
        empty=session.say("no_keys"),
    )


async def remove(session: Session, key: Annotated[int, typer.Argument(metavar="ID", help="From `funai keys list`.")]) -> None:
    """Forget a key: pushes with it are refused from now on."""
    await session.api.remove_key(key)
    session.out.document({"id": key, "removed": True})
    session.out.line(session.say("key_removed", id=key))


def _read(session: Session, file: Path) -> str:
    """The public key's one line; a private key is refused before it goes anywhere."""
    try:
        text = file.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise Refused(session.say("key_missing", path=file), Exit.USAGE) from e
    except (OSError, UnicodeDecodeError) as e:
        raise Refused(f"{file}: {e}", Exit.USAGE, reason=Reason.KEY_INVALID) from e
    if PRIVATE in text:
        raise Refused(session.say("key_private", path=file), Exit.USAGE)
    return text


def _read_stdin(session: Session) -> str:
    text = sys.stdin.read()
    if PRIVATE in text:
        raise Refused(session.say("key_private_read"), Exit.USAGE)
    return text


async def _default_key(session: Session) -> Path:
    """The first of the usual keys; when there is none, offers to make one if a person is there to ask."""
    folder = session.ssh_folder
    for name in DEFAULT_KEYS:
        if (folder / name).is_file():
            return folder / name
    wanted = folder / DEFAULT_KEYS[0]
    if session.out.as_json or not sys.stdin.isatty() or not typer.confirm(session.say("key_offer", path=wanted), err=True):
        raise Refused(session.say("key_missing", path=wanted), Exit.USAGE)
    await _make_key(wanted)
    return wanted


async def _make_key(public: Path) -> None:
    from funai.base.process.proc import Command, ProcessMissing, run

    public.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(public.with_suffix("")))
    try:
        done = await run(Command(argv), timeout=30)
    except ProcessMissing as e:
        raise Refused(f"{e}; apt-get install openssh-client", Exit.USAGE) from e
    if done.code != 0:
        raise Refused(done.error_text, Exit.USAGE)
