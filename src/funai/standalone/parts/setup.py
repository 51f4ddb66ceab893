"""``python -m funai.standalone.parts.setup``: a working engine and the base image, with one line a step.

The bootstrap script calls it after packages and the virtualenv are there. Exit status 1 and one message when the
machine can't run containers or the image can't be had.
"""

from __future__ import annotations

import asyncio
import sys
import time

from funai.standalone.parts import base_image, engine
from funai.standalone.parts.base_image import NoBaseImage
from funai.standalone.parts.engine import EngineChoice, NoEngine
from funai.standalone.parts.probe import Limit
from funai.standalone.phrases import phrase


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
    say(phrase("engine_is", engine=describe(choice)))
    origin = await base_image.ensure(choice, say)
    say(phrase("base_is", image=base_image.IMAGE, origin=phrase(f"origin_{origin.name.lower()}")))


def main() -> int:
    try:
        asyncio.run(prepare())
    except NoEngine as e:
        sys.stderr.write(f"{phrase('no_engine', why=e)}\n{phrase('no_engine_mend')}\n")
        return 1
    except NoBaseImage as e:
        sys.stderr.write(f"{phrase('no_base', why=e)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
