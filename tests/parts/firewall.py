"""Take a daemon's iptables rules away again: whatever wasn't there before, and names Docker."""

from __future__ import annotations

import shlex
import subprocess

TABLES = ("nat", "filter")


class Firewall:
    """``remember()`` before the daemon starts, ``restore()`` after it ended. Other programs' new rules stay.

    ``ours`` is a name that only this daemon's rules contain (its bridge). Where it is found before the start, a killed
    session left it: then what names Docker isn't kept either.
    """

    def __init__(self, ours: str, word: str = "docker") -> None:
        self.ours, self.word = ours, word
        self._before: dict[str, set[str]] = {}

    def remember(self) -> None:
        found = {table: set(_rules(table)) for table in TABLES}
        if any(self.ours in rule for rules in found.values() for rule in rules):
            found = {table: {r for r in rules if self.word not in r.lower()} for table, rules in found.items()}
        self._before = found

    def restore(self) -> None:
        for table in TABLES:
            new = [r for r in _rules(table) if r not in self._before.get(table, set()) and self.word in r.lower()]
            for rule in new:
                if rule.startswith("-A "):
                    _iptables(table, "-D", *shlex.split(rule)[1:])
            for rule in new:
                if rule.startswith("-N "):
                    _iptables(table, "-F", rule.split()[1])
                    _iptables(table, "-X", rule.split()[1])


def _rules(table: str) -> list[str]:
    done = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def _iptables(table: str, *words: str) -> None:
    subprocess.run(["iptables", "-w", "-t", table, *words], capture_output=True, check=False)
