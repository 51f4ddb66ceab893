"""A second try for the few tests that failed in a whole run: each alone, on a machine that does nothing else.

Run by `make test` with the run's exit status. Hundreds of real processes beside each other on two cores break a deadline now
and then; a fault of the code fails alone as well. Whatever passes only here is named at the end, to be mended: such a test, or
what it tests, depends on luck. ``AGAIN=0`` switches it off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
SOME_FAILED = 1
"""pytest's exit status when tests ran and some failed; the others are broken runs, which no second try mends."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--status", type=int, required=True, help="pytest's exit status of the whole run")
    parser.add_argument("--at-most", type=int, required=True, help="how many failed tests get a second try")
    args = parser.parse_args()
    failed = names()
    if args.status != SOME_FAILED or not 0 < len(failed) <= args.at_most:
        return args.status
    broken = [name for name in failed if not passes(name)]
    for name in failed:
        say(f"{name} {'failed twice' if name in broken else 'FLAKY: failed in the whole run, passed alone; mend it'}")
    return SOME_FAILED if broken else 0


def names() -> list[str]:
    try:
        return list(json.loads(FAILED.read_text()))
    except (OSError, ValueError):
        return []


def passes(name: str) -> bool:
    say(name)
    return subprocess.run([sys.executable, "-m", "pytest", name], cwd=ROOT, check=False).returncode == 0


def say(text: str) -> None:
    sys.stdout.write(f"again: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
