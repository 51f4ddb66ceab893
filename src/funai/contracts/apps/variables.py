"""An app's variables, and which of them builds get too.

They are sealed as one dictionary; a variable of builds has an entry ``build:NAME`` beside its value. A name with a colon
is no variable's name, so older entries mean what they meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from funai.contracts.states import Change

BUILD_MARK = "build:"
PUBLIC_PREFIXES = ("VITE_", "NEXT_PUBLIC_", "REACT_APP_", "NUXT_PUBLIC_", "PUBLIC_", "GATSBY_", "VUE_APP_", "EXPO_PUBLIC_")
"""Names that bundlers write into what browsers get: they count when the app is built, not when it runs."""


def names_of(sealed: Mapping[str, str]) -> list[str]:
    """The variables' names, sorted."""
    return sorted(n for n in sealed if not n.startswith(BUILD_MARK))


def build_names(sealed: Mapping[str, str]) -> list[str]:
    """Names of the variables that builds get, sorted."""
    return sorted(n.removeprefix(BUILD_MARK) for n in sealed if n.startswith(BUILD_MARK))


def values_of(sealed: Mapping[str, str]) -> dict[str, str]:
    """The variables themselves, for the app."""
    return {n: sealed[n] for n in names_of(sealed)}


def with_marks(names: Iterable[str]) -> dict[str, str]:
    """The entries that make variables of these names reach builds."""
    return {BUILD_MARK + name: "" for name in names}


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, Change]:
    """The variables that differ between two sealed dictionaries, by name; no values.

    A variable that builds get since then, or no longer, is changed.
    """
    found: dict[str, Change] = {}
    for name in sorted({*names_of(old), *names_of(new)}):
        if name not in old:
            found[name] = Change.ADDED
        elif name not in new:
            found[name] = Change.REMOVED
        elif old[name] != new[name] or (BUILD_MARK + name in old) != (BUILD_MARK + name in new):
            found[name] = Change.CHANGED
    return found


def read_at_build(names: Iterable[str]) -> list[str]:
    """The variables that a bundler reads when it builds, by their names."""
    return [n for n in names if n.startswith(PUBLIC_PREFIXES)]
