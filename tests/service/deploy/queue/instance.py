"""Deploy as a process of its own: ``python -m tests.service.deploy.queue.instance <database url> <port>``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from funai.deploy import main
from tests.parts.daemon import Daemon
from tests.parts.waiting import free_port, tcp_answers
from tests.service.deploy.queue.kit import settings


async def serve(url: str, port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await main.serve(settings(url, port=port, max_attempts=20), stop)


@contextmanager
def instance(url: str, log: Path) -> Iterator[tuple[Daemon, int]]:
    port = free_port()
    argv = [sys.executable, "-m", "tests.service.deploy.queue.instance", url, str(port)]
    root = Path(__file__).parents[4]
    env = {**os.environ, "PYTHONPATH": f"{root}:{root / 'src'}"}
    part = Daemon("deploy", argv, log=log, ready=lambda: tcp_answers(port), env=env, cwd=root, start_seconds=60)
    part.start()
    try:
        yield part, port
    finally:
        part.kill()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
