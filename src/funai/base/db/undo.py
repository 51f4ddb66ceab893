"""Undoing a migration, for its ``downgrade``: what older versions don't know is dropped where it is empty or made anew.

What people gave is never dropped: the downgrade is refused, and the backup of before the upgrade brings the older state back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from funai.contracts.errors import ConfigError

WAY_BACK = "restore the backup of before the upgrade instead, as docs/how-to/backup.md has it"


def refuse(what: str) -> None:
    """Raises ConfigError, which names ``what`` would be lost and the way back."""
    raise ConfigError([f"a downgrade would lose {what}; {WAY_BACK}"])


def drop_table(name: str) -> None:
    """Raises ConfigError while the table has rows."""
    if _any(sa.select(sa.literal(1)).select_from(sa.table(name))):
        refuse(f"the rows of {name}")
    op.drop_table(name)


def drop_columns(table: str, *names: str, indexes: Sequence[str] = ()) -> None:
    """Those and their indexes. Raises ConfigError while a row has a value in one of them; then all are left."""
    for name in names:
        if _any(sa.select(sa.literal(1)).select_from(sa.table(table)).where(sa.column(name).is_not(None))):
            refuse(f"{table}.{name}")
    for index in indexes:
        op.drop_index(index, table)
    for name in names:
        op.drop_column(table, name)


def _any(query: sa.Select[Any]) -> bool:
    return op.get_bind().execute(query.limit(1)).first() is not None
