"""See :mod:`tests.fuzz.driver`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from funai.standalone.parts import base_image, engine
from tests.e2e.runner.world import world_of
from tests.fuzz.driver import Report, fuzz, leave_unread
from tests.parts.podman import Podman
from tests.parts.registry import Registry
from tests.parts.slots import take_slot
from tests.parts.sshd import Sshd
from tests.parts.workspace import drop_workspace, new_workspace


async def run(seconds: float, seed: int, machine: engine.EngineChoice) -> Report:
    folders = {name: new_workspace(name) for name in ("podman", "registry", "sshd", "world")}
    canary = Path(tempfile.mkdtemp(prefix="funai-canary-", dir="/srv"))
    registry, sshd = Registry(folders["registry"]), Sshd(folders["sshd"])
    with take_slot("podman") as slot:
        podman = Podman(slot, folders["podman"], machine)
        podman.prepare()
        registry.start()
        sshd.create()
        os.environ.update(podman.choice.environment)
        podman.allow_insecure([registry.address])
        try:
            async with world_of(podman, registry, sshd, folders["world"], {"slots": 2, "build_seconds": seconds + 60}) as world:
                return await fuzz(world, canary, Random(seed), seconds=seconds)
        finally:
            registry.stop()
            sshd.stop()
            podman.destroy()
            for folder in (*folders.values(), canary):
                drop_workspace(folder, keep_logs_in=None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz-dockerfile ARGS=")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--checked", action="store_true", help="only what passes the check of the text reaches the engine")
    given = parser.parse_args()
    if not given.checked:
        leave_unread()
    machine = asyncio.run(ready())
    report = asyncio.run(run(given.seconds, given.seed, machine))
    for kind, text in report.findings:
        sys.stderr.write(f"--- {kind}\n{text}\n")
    numbers = {"seed": given.seed, "tried": report.tried, "built": report.built, "refused": report.refused}
    sys.stdout.write(json.dumps({**numbers, "findings": len(report.findings)}) + "\n")
    return 1 if report.findings else 0


async def ready() -> engine.EngineChoice:
    choice = await engine.choose()
    await base_image.ensure(choice)
    return choice


if __name__ == "__main__":
    sys.exit(main())
