"""SSH keys on disk: made once, mode 0600, never replaced."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh


def ensure_private_key(file: Path, comment: str) -> asyncssh.SSHKey:
    """The Ed25519 key in ``file``, made when it isn't there. Raises OSError, asyncssh.KeyImportError."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519", comment)  # pyright: ignore[reportUnknownMemberType]
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(key.export_private_key())
    return asyncssh.read_private_key(str(file))


def public_line(key: asyncssh.SSHKey) -> str:
    """``<type> <base64>``, without a comment."""
    return " ".join(key.export_public_key().decode("ascii").split()[:2])
