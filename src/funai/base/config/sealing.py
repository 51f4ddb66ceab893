"""Secrets at rest: a small dictionary sealed into text with the platform's key file (Fernet, AES-CBC + HMAC)."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from funai.contracts.errors import ConfigError, FunaiError
from funai.contracts.reasons import Reason


class SealBroken(FunaiError):
    """The sealed text was made with another key, or was changed."""

    def __init__(self) -> None:
        super().__init__(Reason.INTERNAL)


def _make(file: Path) -> None:
    """The file is there whole or not at all: half a key would lock every later start out. Of two makers one wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    scratch = Path(name)
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(Fernet.generate_key())
            f.flush()
            os.fsync(f.fileno())
        with suppress(FileExistsError):
            file.hardlink_to(scratch)
    finally:
        scratch.unlink()


class Sealer:
    """Seals and opens ``{name: value}`` dictionaries. The API seals, Deploy opens only to answer a claim."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def from_file(cls, file: Path, *, create: bool = False) -> Sealer:
        """Read the key; with ``create`` make it at first start (mode 0600). Raises ConfigError."""
        try:
            if create and not file.exists():
                _make(file)
            return cls(file.read_bytes().strip())
        except (OSError, ValueError) as e:
            raise ConfigError([f"{file}: not a usable key file ({e}); keep a backup of it with the database"]) from e

    def seal(self, values: dict[str, str]) -> str:
        return self._fernet.encrypt(json.dumps(values, sort_keys=True).encode()).decode("ascii")

    def open(self, sealed: str) -> dict[str, str]:
        """Raises SealBroken."""
        try:
            return dict(json.loads(self._fernet.decrypt(sealed.encode("ascii"))))
        except (InvalidToken, ValueError) as e:
            raise SealBroken() from e
