"""Visitors who ask one address as fast as they are answered, for as long as a test looks."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.e2e.gateway.upstream import Upstream
from tests.parts.waiting import eventually

LONGEST_SECONDS = 600


class Load:
    """The visitors of one address of ``app``."""

    def __init__(self, app: Upstream) -> None:
        self._app = app

    async def goes_on(self, requests: int = 50) -> None:
        """Wait until so many more requests came to the app."""
        seen = len(self._app.requests)
        await eventually(lambda: len(self._app.requests) > seen + requests, what="the load goes on")


@asynccontextmanager
async def load_on(url: str, app: Upstream) -> AsyncIterator[Load]:
    """Eight visitors of ``url``, which ``app`` answers. At the end every request must have been answered, and well.

    They are ended by a signal and not by a time: what a test does meanwhile takes longer on a busy machine.
    """
    argv = ("wrk", "-t1", "-c8", f"-d{LONGEST_SECONDS}s", "--timeout", "20s", url)
    wrk = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
    try:
        load = Load(app)
        await load.goes_on()
        yield load
        await load.goes_on()
    except BaseException:
        wrk.kill()
        raise
    else:
        wrk.send_signal(signal.SIGINT)  # it tells what it counted so far
    finally:
        out, _ = await wrk.communicate()
    text = out.decode()
    assert "requests in" in text
    assert "Socket errors" not in text, text
    assert "Non-2xx" not in text, text
