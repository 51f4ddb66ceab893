"""Addresses on this machine's ``lo`` for servers that apps and the platform reach, and no other machine does.

They are of the benchmarking network 198.18.0.0/15, which no router carries.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import AsyncExitStack

from funai.base.observability import log
from funai.base.process.proc import Command, checked

SECONDS = 10
POSTGRES, MONGO = 18, 19
"""The second number of each server's addresses."""


class NoAddress(Exception):
    """It can't be set here; the text says why."""


def of(instance: str, block: int) -> str:
    """The address of a platform's server; two data dirs on one machine have two."""
    number = int(hashlib.sha256(instance.encode()).hexdigest()[:8], 16) % 60_000 if instance else 0
    return f"198.{block}.{number // 250}.{number % 250 + 1}"


async def hold(at: str, teardown: AsyncExitStack) -> None:
    """Have the address until ``teardown``. Raises NoAddress."""
    ip = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin")
    if os.geteuid() != 0 or not ip:
        raise NoAddress("it needs root and ip (iproute2)")
    await checked(Command((ip, "address", "replace", f"{at}/32", "dev", "lo")), NoAddress, timeout=SECONDS)
    teardown.push_async_callback(_release, ip, at)


async def _release(ip: str, at: str) -> None:
    try:
        await checked(Command((ip, "address", "del", f"{at}/32", "dev", "lo")), NoAddress, timeout=SECONDS)
    except NoAddress as e:
        log.get("up").info("address.left", address=at, why=str(e))
