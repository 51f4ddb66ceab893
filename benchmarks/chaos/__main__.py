"""The command: see the package."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from benchmarks.chaos.faults import Fault
from benchmarks.chaos.machine import machine
from benchmarks.chaos.pairs import Pairs, pairs
from benchmarks.chaos.rounds import PHASES, Rounds, say
from funai.standalone.parts import engine as engines

TOPOLOGIES = {"up": machine, "pairs": pairs}


def _stopped(*_: object) -> None:
    """What was made goes all the same."""
    sys.exit(143)


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Faults in a running platform; one JSON line last.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--topology", choices=TOPOLOGIES, default="up", help="funai up, or PostgreSQL and two of each service")
    parser.add_argument("--apps", type=int, default=3, help="apps that are visited all the time")
    parser.add_argument("--seed", type=int, default=1, help="the order of the faults")
    parser.add_argument("--part", action="append", help="only faults of this part (may be repeated)")
    parser.add_argument("--fault", action="append", choices=list(Fault), default=[], help="only this fault (may be repeated)")
    parser.add_argument("--phase", action="append", choices=PHASES, default=[], help="only in this phase (may be repeated)")
    parser.add_argument("--logs", type=Path, help="a folder for the services' logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stopped)
    with TOPOLOGIES[options.topology](asyncio.run(engines.choose()), options.logs) as (platform, parts):
        chosen = [part for part in parts if not options.part or part.name in options.part]
        say(f"parts: {', '.join(part.name for part in chosen)}")
        ended = platform.ended if isinstance(platform, Pairs) else tuple[str, ...]
        rounds = Rounds(platform, chosen, options.seed, ended)
        rounds.chosen(options.fault, options.phase)
        asyncio.run(rounds.run(options.rounds, options.apps))
    report = {"topology": options.topology, "seed": options.seed, **rounds.report()}
    print(json.dumps(report, ensure_ascii=False))
    return 0 if report["clean"] else 1


if __name__ == "__main__":
    sys.exit(main())
