"""``version``."""

from __future__ import annotations

import sys

import typer

from funai import __version__
from funai.cli.session import Session
from funai.cli.verb import verb


def register(app: typer.Typer) -> None:
    verb(app, "version", panel="Operate", server=False)(version)


def version(session: Session) -> None:
    """Show the version."""
    session.out.document({"version": __version__, "python": sys.version.partition(" ")[0]})
    session.out.line(f"funai {__version__}")
