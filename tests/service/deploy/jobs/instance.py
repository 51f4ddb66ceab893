"""Deploy as a process of its own: ``python -m tests.service.deploy.jobs.instance <database url> <port>``."""

from __future__ import annotations

import asyncio
import signal
import sys

from funai.deploy import main
from tests.service.deploy.jobs.kit import settings


async def serve(url: str, port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await main.serve(settings(url, port=port, max_attempts=20), stop)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
