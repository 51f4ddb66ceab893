"""A second door over HTTPS to an app that serves already; a renewed certificate is taken over by new connections."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from funai.base import aio
from funai.base.aio import bind, serving, serving_https
from tests.parts.waiting import eventually
from tests.service.cli.test_https import self_signed


async def peer(port: int, trusted: Path) -> int:
    """The status of ``/``, asked with one certificate as the only authority. Raises ssl.SSLError."""
    context = ssl.create_default_context(cafile=str(trusted))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_serving_https_shares_the_app_and_takes_a_new_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "CERTIFICATE_SECONDS", 0.02)
    lives = 0

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal lives
        lives += 1
        yield

    app, stop = FastAPI(lifespan=lifespan), asyncio.Event()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two, used = self_signed(tmp_path / "one"), self_signed(tmp_path / "two"), tmp_path / "used.pem"
    shutil.copy(one, used)
    async with serving(app, bind("127.0.0.1", 0)), serving_https(app, bind("127.0.0.1", 0), used, used, stop) as port:
        assert await peer(port, one) == 404
        assert lives == 1
        used.write_text("half a file")
        assert await peer(port, one) == 404
        shutil.copy(two, used)

        async def renewed() -> bool:
            try:
                return await peer(port, two) == 404
            except ssl.SSLError:
                return False

        await eventually(renewed, seconds=20)
        stop.set()
