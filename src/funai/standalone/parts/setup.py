"""``python -m funai.standalone.parts.setup``: a working engine and the base image, with one line a step.

The bootstrap script calls it after packages and the virtualenv are there. Exit status 1 and one message when the
machine can't run containers or the image can't be had.
"""

from __future__ import annotations

import asyncio
import sys
import time

from funai.standalone.parts import base_image, engine
from funai.standalone.parts.base_image import NoBaseImage, Origin
from funai.standalone.parts.engine import EngineChoice, NoEngine
from funai.standalone.parts.probe import Limit


def describe(choice: EngineChoice) -> str:
    """One line: which engine, how, and what it can't do."""
    missing = [limit for limit in Limit if limit not in choice.limits]
    lacks = f"; NOT enforced here: {', '.join(missing)}" if missing else ""
    reach = "" if choice.host_reaches_containers else "; containers are reached through published ports"
    return f"{choice.kind} {choice.version}{' (rootless)' if choice.rootless else ''}, {choice.why}{lacks}{reach}"


async def prepare() -> None:
    """Choose the engine and have the base image. Raises NoEngine, NoBaseImage."""
    started = time.monotonic()

    def say(line: str) -> None:
        sys.stdout.write(f"  [{time.monotonic() - started:5.1f} s] {line}\n")
        sys.stdout.flush()

    choice = await engine.choose(say=say)
    say(f"engine: {describe(choice)}")
    origin = await base_image.ensure(choice, say)
    say(f"base image: {base_image.IMAGE} ({origin if origin is not Origin.MADE else 'made here'})")


def main() -> int:
    try:
        asyncio.run(prepare())
    except NoEngine as e:
        sys.stderr.write(
            f"No container engine works here.\n  {e}\n"
            "Start Docker's daemon, or install Podman (apt-get install podman runc netavark aardvark-dns iptables).\n"
        )
        return 1
    except NoBaseImage as e:
        sys.stderr.write(f"The base image can't be had: {e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
