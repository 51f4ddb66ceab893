"""Why git could not fetch, found out by asking again in a way that gives typed answers instead of prose."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncssh

from funai.contracts.reasons import FailureCode
from funai.runner.failures import JobFailed
from funai.runner.settings import RunnerSettings

CONNECT_SECONDS = 10


async def diagnose(url: str, settings: RunnerSettings) -> JobFailed | None:
    """Why ``url`` can't be reached: host key, login, or server away. None when the server lets us in (now)."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 22
    keys = [str(settings.ssh_key_path)] if settings.ssh_key_path else None
    known = str(settings.known_hosts_path) if settings.known_hosts_path else b""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            async with asyncssh.connect(
                host,
                port,
                username=parts.username or "git",
                client_keys=keys,
                known_hosts=known,
                agent_path=None,
                config=None,
            ):
                return None
    except asyncssh.HostKeyNotVerifiable:
        file = str(settings.known_hosts_path or "GIT_KNOWN_HOSTS_PATH")
        return JobFailed(FailureCode.GIT_HOST_KEY, host=parts.netloc.rpartition("@")[2], file=file, port=port, name=host)
    except (asyncssh.PermissionDenied, asyncssh.KeyImportError):
        return JobFailed(FailureCode.GIT_AUTH)
    except (asyncssh.Error, OSError, TimeoutError) as e:
        return JobFailed(FailureCode.GIT_UNREACHABLE, [str(e)] if str(e) else [], host=parts.netloc.rpartition("@")[2])
