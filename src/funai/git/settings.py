"""Settings of the built-in Git server."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from funai.base.config.settings import Secret, Settings, key


class GitSettings(Settings):
    title: ClassVar[str] = "Git server"

    host: str = key("GIT_HOST", "127.0.0.1", doc="Address the SSH server listens on")
    port: int = key("GIT_PORT", 2222, doc="Port of the SSH server; 0 picks a free one", ge=0, le=65535)
    repos_dir: Path = key("GIT_REPOS_DIR", doc="Folder of the bare repositories, `{owner}/{name}.git`")
    host_key_path: Path = key("GIT_HOST_KEY_PATH", doc="The server's private host key; made at first start")
    api_base_url: str = key("API_BASE_URL", "http://127.0.0.1:8080", doc="The API service, asked who may do what")
    internal_token: Secret = key("GIT_INTERNAL_TOKEN", doc="Sent as X-Git-Token to the API")
    max_push_bytes: int = key("GIT_MAX_PUSH_BYTES", 512 * 1024 * 1024, doc="Largest pack one push may send", ge=1024)
    max_repo_bytes: int = key("GIT_MAX_REPO_BYTES", 2 * 1024**3, doc="A repository past this size takes no push", ge=1024)
    max_sessions: int = key("GIT_MAX_SESSIONS", 64, doc="Git operations at the same time", ge=1, le=10_000)
    max_sessions_per_key: int = key("GIT_MAX_SESSIONS_PER_KEY", 8, doc="Of them, by one key", ge=1, le=1_000)
    operation_seconds: float = key("GIT_OPERATION_SECONDS", 600, doc="One clone or push takes at most this long", gt=0)
