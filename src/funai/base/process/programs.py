"""Where a program is."""

from __future__ import annotations

import shutil

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_program(name: str) -> str | None:
    """The program's path, from PATH or from the system's folders, which an ordinary user's PATH often leaves out."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
