"""How many files, and thus connections, a service may have open."""

from __future__ import annotations

import resource

MOST = 65_536
"""Some programs that services start do work for each number up to their limit."""


def allow_open_files() -> int:
    """Raise the soft limit of this process, which its children inherit, to its hard limit or ``MOST``; answers it.

    Shells and older init systems start processes with 1,024, which a few hundred open connections use up.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
