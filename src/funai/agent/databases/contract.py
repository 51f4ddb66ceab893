"""What the agent asks of a database server.

Contract of a driver:

* **Order**: ``create`` comes first; ``credentials`` needs none (it asks the server how often they were rotated, and takes
  the first ones for an app that has none yet). ``dump``, ``restore``, ``size`` and ``limit`` need ``create``.
* **Concurrency**: every call may run beside every other of another app; calls for one app are serialised by the caller.
* **Idempotence**: ``create`` of what exists keeps its data and sets its account right; ``drop`` of what is gone succeeds and
  answers False; ``limit`` may be repeated.
* **Cancellation**: a cut ``restore`` leaves a part of the backup; run it again. Every other call is done or not done.
* **Errors**: ``DatabaseAway`` when nothing answered in time (retry later), ``DatabaseRefused`` with the server's own words,
  without credentials, for everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from funai.contracts.apps.databases import Kind


class DatabaseError(Exception):
    """Base of what a driver raises. The text has no credentials in it."""


class DatabaseAway(DatabaseError):
    """No answer in time."""


class DatabaseRefused(DatabaseError):
    """The server answered no."""


class DatabaseMissing(DatabaseRefused):
    """The app has no database here."""


@dataclass(frozen=True, slots=True)
class AppKey:
    """Whose database it is. ``name`` is the database's, and its account's where it has one of its own."""

    user_id: int
    app_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """``variables`` are what the app gets in its environment; ``own``: the account is the app's alone."""

    url: str = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    own: bool = True


class Driver(Protocol):
    @property
    def kind(self) -> Kind: ...

    @property
    def every_app(self) -> bool:
        """Whether each app gets a database by itself; else only the apps that ask for one."""
        ...

    @property
    def drops_on_delete(self) -> bool: ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables that its credentials bring."""
        ...

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as apps reach them."""
        ...

    def name(self, user_id: int, app_id: int) -> str:
        """The name of an app's database, at most 63 bytes."""
        ...

    def app_of(self, name: str) -> int | None:
        """The app whose database this is by its name; None for anybody else's."""
        ...

    async def create(self, app: AppKey) -> None: ...

    async def exists(self, app: AppKey) -> bool: ...

    async def credentials(self, app: AppKey) -> Credentials: ...

    def guessed(self, app: AppKey, rotation: int) -> Credentials:
        """The credentials without asking the server, given how often they were rotated."""
        ...

    async def rotation(self, app: AppKey) -> int: ...

    async def rotate(self, app: AppKey) -> None:
        """From now on the account has another password. Raises DatabaseRefused for a shared account."""
        ...

    async def drop(self, app: AppKey) -> bool: ...

    async def size(self, app: AppKey) -> int:
        """Bytes on disk, as far as the server counts them."""
        ...

    async def limit(self, app: AppKey, *, read_only: bool) -> bool:
        """Take the right to write away, or give it back. False where that can't be enforced (a shared account)."""
        ...

    async def limited(self, app: AppKey) -> bool: ...

    def dump(self, app: AppKey) -> AsyncIterator[bytes]:
        """All of it, as ``restore`` takes it."""
        ...

    async def restore(self, app: AppKey, chunks: AsyncIterator[bytes]) -> None:
        """Replace what the database holds."""
        ...

    async def names(self) -> list[str]:
        """Databases of apps on this server, by the template; other databases are left out."""
        ...

    async def close(self) -> None: ...
