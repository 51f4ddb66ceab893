"""PostgreSQL's own ``pg_dump`` and ``pg_restore``, streamed. The password goes by the environment, never by argv."""

from __future__ import annotations

import asyncio
import glob
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from funai.agent.databases.contract import DatabaseRefused
from funai.base.process.proc import READ_SIZE, Command, ProcessMissing, spawn

HOURS = 6 * 3600
_ERRORS = 64 * 1024
LOCK_MS = 60_000
"""For so long a dump waits for a table that the app has locked: other apps' backups wait behind it."""


def program(name: str) -> str:
    """The newest version that Debian has side by side, else the one on PATH: it must not be older than the server."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda p: [int(n) for n in re.findall(r"\d+", p)])
    return found[-1] if found else shutil.which(name) or name


def dump_command(url: str) -> Command:
    """The whole database in PostgreSQL's custom format, without owners: it may be restored for another app."""
    words = ("--format=custom", "--no-owner", "--no-privileges", "--no-password", f"--lock-wait-timeout={LOCK_MS}")
    return Command((program("pg_dump"), *words), env=_env(url))


def restore_command(url: str) -> Command:
    words = ("--no-owner", "--no-privileges", "--no-password", "--exit-on-error", "--dbname")
    return Command((program("pg_restore"), *words, _env(url)["PGDATABASE"]), env=_env(url))


def _env(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.lstrip("/")),
        "PGCONNECT_TIMEOUT": "10",
        "PGPASSFILE": "/dev/null",
    }


async def dump(url: str) -> AsyncIterator[bytes]:
    """Raises DatabaseRefused when the program fails: what came until then is no backup."""
    try:
        async with asyncio.timeout(HOURS), spawn(dump_command(url)) as child:
            out, err = child.process.stdout, child.process.stderr
            assert out is not None and err is not None
            complaints = asyncio.create_task(err.read(_ERRORS))
            while piece := await out.read(READ_SIZE):
                yield piece
            code = await child.process.wait()
            _check("pg_dump", code, await complaints)
    except ProcessMissing as e:
        raise DatabaseRefused(f"{e}: install postgresql-client") from e
    except TimeoutError as e:
        raise DatabaseRefused("pg_dump took longer than 6 hours") from e


async def restore(url: str, chunks: AsyncIterator[bytes]) -> None:
    """As the account of ``url``, which then owns everything. Raises DatabaseRefused."""
    try:
        async with asyncio.timeout(HOURS), spawn(restore_command(url), stdin=asyncio.subprocess.PIPE) as child:
            into, out, err = child.process.stdin, child.process.stdout, child.process.stderr
            assert into is not None and out is not None and err is not None
            said = asyncio.gather(out.read(_ERRORS), err.read(_ERRORS))
            with suppress(BrokenPipeError, ConnectionResetError):
                async for chunk in chunks:
                    into.write(chunk)
                    await into.drain()
            into.close()
            code = await child.process.wait()
            _check("pg_restore", code, (await said)[1])
    except ProcessMissing as e:
        raise DatabaseRefused(f"{e}: install postgresql-client") from e
    except TimeoutError as e:
        raise DatabaseRefused("pg_restore took longer than 6 hours") from e


def _check(name: str, code: int, complaints: bytes) -> None:
    if code:
        raise DatabaseRefused(f"{name}: {complaints.decode('utf-8', 'replace').strip()[:400] or f'exit status {code}'}")
