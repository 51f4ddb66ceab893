"""Registry logins that ``docker login`` and ``podman login`` left on this machine."""

from __future__ import annotations

import base64
import binascii
import json
import os
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

MAX_BYTES = 1 << 20


def files(environ: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Where the two programs look, the likeliest first."""
    environ = os.environ if environ is None else environ
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json"
    yield Path(f"/run/containers/{os.geteuid()}/auth.json")
    if folder := environ.get("DOCKER_CONFIG"):
        yield Path(folder) / "config.json"
    if home := environ.get("HOME") or _home():
        yield Path(home) / ".config/containers/auth.json"
        yield Path(home) / ".docker/config.json"


def _home() -> str | None:
    """The account's own: systemd sets no HOME for a system service that runs as root."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None


def find(registry: str, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """User and password for ``host[:port]``, from the first file that has them. A credential helper's are not looked up."""
    for file in files(environ):
        if found := _in(file, registry):
            return found
    return None


def _in(file: Path, registry: str) -> tuple[str, str] | None:
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        read: Any = json.loads(file.read_text(encoding="utf-8"))
        auths = cast("dict[str, Any]", read["auths"])
        for name in (
            registry,
            f"https://{registry}",
            f"http://{registry}",
            f"https://{registry}/v2/",
            f"https://{registry}/v1/",
        ):
            if text := cast("dict[str, Any]", auths.get(name) or {}).get("auth"):
                user, _, password = base64.b64decode(str(text)).decode().partition(":")
                return (user, password) if user and password else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return None
    return None
