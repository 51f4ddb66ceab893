"""What placement asks of moves. Bound in ``deploy/main.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.apps.moves import DrainProgress, Move


class Moves(Protocol):
    async def by_job(self, conn: AsyncConnection, app_id: int) -> bool:
        """Whether a move of the app takes a job, in the caller's transaction; else it is enough to place it elsewhere."""
        ...

    async def reassign(self, app_id: int, source_node_id: int, target_node_id: int) -> Move | None:
        """Begin to move one app; None when it is enough to place it elsewhere. Raises Conflict(APP_DEPLOYING)."""
        ...

    async def drain(self, source_node_id: int, target_node_id: int | None, app_ids: Sequence[int]) -> int:
        """Move these apps off the node; answers the drain's id."""
        ...

    async def progress(self) -> list[DrainProgress]:
        """The last drain of every node that had one."""
        ...
