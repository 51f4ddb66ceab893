"""Passwords: argon2id, computed in threads so that the event loop goes on, and few at a time so that memory is bounded."""

from __future__ import annotations

import asyncio
import secrets

import bcrypt
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason

BCRYPT = ("$2a$", "$2b$", "$2y$")
"""How hashes of an imported installation begin; each is replaced at its owner's next login."""
BCRYPT_BYTES = 72
"""BCrypt looks at no more of a password."""
MIN_LENGTH, MAX_LENGTH = 8, 128


def check_password(value: str) -> str:
    """Raises BadInput PASSWORD_WEAK."""
    if not MIN_LENGTH <= len(value) <= MAX_LENGTH:
        raise BadInput(Reason.PASSWORD_WEAK)
    return value


class Passwords:
    """Hashes (46 MiB each, two at a time). ``verify`` takes as long for an unknown user as for a known one."""

    def __init__(self, *, at_once: int = 2, passes: int = 2, kib: int = 47_104) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=kib, parallelism=1, type=Type.ID)
        self._turns = asyncio.Semaphore(at_once)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` made ``stored``; None (no such user) costs the same time and is False."""
        if self._nobody is None:
            self._nobody = await self.hash(secrets.token_hex(16))
        async with self._turns:
            matches = await asyncio.to_thread(self._matches, stored or self._nobody, password)
        return matches and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return stored.startswith(BCRYPT) or self._hasher.check_needs_rehash(stored)

    def _matches(self, stored: str, password: str) -> bool:
        try:
            if stored.startswith(BCRYPT):
                return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], stored.encode())
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, ValueError):
            return False
