"""The command: see the package."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from benchmarks.chaos.machine import machine
from benchmarks.chaos.rounds import Rounds, say
from funai.standalone.parts import engine as engines


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Faults in a running platform; one JSON line last.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--apps", type=int, default=3, help="apps that are visited all the time")
    parser.add_argument("--seed", type=int, default=1, help="the order of the faults")
    parser.add_argument("--part", action="append", help="only faults of this part (may be repeated)")
    options = parser.parse_args()
    with machine(asyncio.run(engines.choose())) as (platform, parts):
        chosen = [part for part in parts if not options.part or part.name in options.part]
        say(f"parts: {', '.join(part.name for part in chosen)}")
        rounds = Rounds(platform, chosen, options.seed)
        asyncio.run(rounds.run(options.rounds, options.apps))
    report = {"topology": "up", "seed": options.seed, **rounds.report()}
    print(json.dumps(report, ensure_ascii=False))
    return 0 if report["clean"] else 1


if __name__ == "__main__":
    sys.exit(main())
