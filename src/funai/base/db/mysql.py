"""asyncmy without the round trips that nobody needs (docs/decisions/queue-measured.md).

SQLAlchemy's pool sends a ROLLBACK after every COMMIT, and a COMMIT after reads that were each a transaction of its own.
On MySQL either is a round trip, so that a look at the queue cost three.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy


class QuietMySQL(MySQLDialect_asyncmy):
    """``mysql+quiet``, registered by ``base.db``. A connection that commits every statement itself has nothing to end."""

    driver = "quiet"
    supports_statement_cache = True

    def do_commit(self, dbapi_connection: Any) -> None:
        if not _autocommits(dbapi_connection):
            super().do_commit(dbapi_connection)

    def do_rollback(self, dbapi_connection: Any) -> None:
        if not _autocommits(dbapi_connection):
            super().do_rollback(dbapi_connection)


def _autocommits(dbapi_connection: Any) -> bool:
    """As the server said in its last answer; True only when it also said that no transaction is open."""
    raw = dbapi_connection.driver_connection
    return raw.get_autocommit() and not raw.get_transaction_status()


def reset(dbapi_connection: Any, _record: Any, state: Any) -> None:
    """A connection goes back to the pool. SQLAlchemy has ended its transaction already, with COMMIT or ROLLBACK; were one
    open all the same, by the server's last word, it is rolled back here."""
    if not state.terminate_only and dbapi_connection.driver_connection.get_transaction_status():
        dbapi_connection.rollback()


def broken(dbapi_connection: Any) -> bool:
    """The server hung up while nobody used the connection."""
    return bool(dbapi_connection.driver_connection._stream_broken)
