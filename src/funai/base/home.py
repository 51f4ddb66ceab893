"""Where a person's files are, when the account has a home at all: a container's uid often has none."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path


def home(environ: Mapping[str, str] | None = None) -> Path | None:
    """``$HOME``, else the account's home; None for an account without either."""
    environ = os.environ if environ is None else environ
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def user_folder(variable: str, default: str, environ: Mapping[str, str] | None = None) -> Path | None:
    """An XDG base folder: ``$variable``, else ``default`` below the home; None without a home."""
    environ = os.environ if environ is None else environ
    if environ.get(variable):
        return Path(environ[variable])
    found = home(environ)
    return found / default if found else None
