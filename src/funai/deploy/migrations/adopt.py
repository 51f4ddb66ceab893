"""Taking over an existing installation's tables in place: its rows and columns stay, ours come beside them.

Every step looks before it acts, so that an upgrade that was cut off can be run again (MySQL commits each DDL by itself).
"""

from __future__ import annotations

import json
from typing import Any, cast

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    bindparam,
    case,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql

BATCH = 500
SUPERSEDED = "升级时同一应用存在多个进行中的任务，仅保留一个 / at the upgrade the app had several active jobs; one was kept"


def is_mysql(conn: Connection) -> bool:
    return conn.dialect.name in ("mysql", "mariadb")


def adopt(conn: Connection, table: Table) -> None:
    """Give an existing table every column it lacks, and make those it has take what we write."""
    there: dict[str, Any] = {c["name"]: c for c in inspect(conn).get_columns(table.name)}
    if is_mysql(conn):
        _all_of_unicode(conn, table)
    for column in table.columns:
        if column.name not in there:
            op.add_column(table.name, _copy(column))
        elif is_mysql(conn):
            _fit(table.name, column, there[column.name])


def _copy(column: Column[Any]) -> Column[Any]:
    return Column(column.name, column.type, nullable=column.nullable, server_default=column.server_default)


def _all_of_unicode(conn: Connection, table: Table) -> None:
    """Names and errors are in any language; a table in latin1 or utf8mb3 would refuse some of them.

    And compared byte by byte: where N1 equals n1, a node's heartbeat found a row of another name than its own.
    """
    found = text(
        "SELECT table_collation FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :t UNION "
        "SELECT collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = :t AND collation_name IS NOT NULL"
    )
    if set(conn.execute(found, {"t": table.name}).scalars()) != {"utf8mb4_bin"}:
        op.execute(text(f"ALTER TABLE {table.name} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))


def _fit(table: str, ours: Column[Any], theirs: dict[str, Any]) -> None:
    """Widen text that is shorter than ours, make a BIT a number (its driver answers bytes, and all bytes are true), and allow
    NULL where we write it. Other types, and the column's default and comment, stay what they are."""
    if ours.primary_key:
        return
    wide = _wider(ours, theirs["type"])
    loosen = bool(ours.nullable) and not theirs["nullable"]
    if wide is None and not loosen:
        return
    kind = theirs["type"] if wide is None else wide
    default = theirs["default"]
    op.alter_column(
        table,
        ours.name,
        existing_type=kind,
        type_=kind,
        nullable=loosen or theirs["nullable"],
        existing_server_default=text(default) if default else False,
        existing_comment=theirs.get("comment"),
    )


def _wider(ours: Column[Any], theirs: Any) -> Any:
    if isinstance(theirs, mysql.BIT):
        return ours.type
    if isinstance(theirs, mysql.MEDIUMTEXT | mysql.LONGTEXT | mysql.JSON | mysql.ENUM) or not isinstance(theirs, String):
        return None
    if isinstance(ours.type, Text):
        return mysql.MEDIUMTEXT()
    if isinstance(ours.type, String) and not isinstance(theirs, Text) and (theirs.length or 0) < (ours.type.length or 0):
        return String(ours.type.length)
    return None


def epoch_ms(conn: Connection, column: Any) -> Any:
    """An SQL expression: the column's moment as epoch milliseconds, whether it is a date or already a number."""
    if isinstance(column.type, Integer | BigInteger | Numeric):
        return column
    if conn.dialect.name == "postgresql":
        return literal_column(f"CAST(EXTRACT(EPOCH FROM {column.name}) * 1000 AS BIGINT)", BigInteger)
    if is_mysql(conn):
        return literal_column(f"CAST(UNIX_TIMESTAMP({column.name}) * 1000 AS SIGNED)", BigInteger)
    return literal_column(f"CAST(strftime('%s', {column.name}) AS INTEGER) * 1000", BigInteger)


def reflected(conn: Connection, name: str) -> Table:
    """The table as the database has it now."""
    return Table(name, MetaData(), autoload_with=conn)


def carry_times(conn: Connection, table: str, pairs: dict[str, str]) -> None:
    """Fill our times from theirs, where ours are still unset."""
    now = reflected(conn, table)
    for ours, theirs in pairs.items():
        if theirs in now.c:
            unset = now.c[ours].is_(None) | (now.c[ours] == 0)
            value = func.coalesce(epoch_ms(conn, now.c[theirs]), 0)
            conn.execute(update(now).where(unset, now.c[theirs].is_not(None)).values({ours: value}))


def carry_jobs(conn: Connection, job: Table, now_ms: Any) -> None:
    """Existing jobs as ours: whose they are, when they ended, and a lease for each that runs."""
    carry_times(conn, job.name, {"created_ms": "create_time", "updated_ms": "update_time"})
    final = job.c.status.in_(["SUCCEEDED", "FAILED", "CANCELLED"])
    conn.execute(update(job).where(final, job.c.finished_ms.is_(None)).values(finished_ms=job.c.updated_ms))
    running = job.c.status == "RUNNING"
    values: dict[str, Any] = {
        "attempt": case((job.c.attempt == 0, 1), else_=job.c.attempt),
        "started_ms": func.coalesce(job.c.started_ms, job.c.updated_ms),
        "lease_expire_at": func.coalesce(job.c.lease_expire_at, now_ms),
    }
    conn.execute(update(job).where(running).values(**values))
    _carry_users(conn, job)


def _carry_users(conn: Connection, job: Table) -> None:
    """``userId`` from the payload, for the active jobs: the fair order reads no others."""
    active = job.c.status.in_(["PENDING", "RUNNING"])
    rows = conn.execute(select(job.c.id, job.c.payload_json).where(active, job.c.user_id.is_(None))).all()
    set_user = update(job).where(job.c.id == bindparam("p_id")).values(user_id=bindparam("p_user"))
    found = [{"p_id": r.id, "p_user": user} for r in rows if (user := _user_of(r.payload_json)) is not None]
    for start in range(0, len(found), BATCH):
        conn.execute(set_user, found[start : start + BATCH])


def _user_of(payload: str | None) -> int | None:
    try:
        found: Any = json.loads(payload or "{}")
        user = cast("dict[str, Any]", found).get("userId") if isinstance(found, dict) else None
        return int(user) if user is not None else None
    except (ValueError, TypeError):
        return None


def keep_one_active(conn: Connection, job: Table, event: Table, now_ms: Any) -> None:
    """Before the constraint comes: of several active jobs of an app keep the one that runs, else the oldest."""
    active = job.c.status.in_(["PENDING", "RUNNING"])
    crowded = select(job.c.app_id).where(active, job.c.app_id.is_not(None)).group_by(job.c.app_id).having(func.count() > 1)
    columns = (job.c.id, job.c.status, job.c.attempt)
    for app_id in list(conn.execute(crowded).scalars()):
        rows = conn.execute(select(*columns).where(active, job.c.app_id == app_id).order_by(job.c.id)).all()
        running = [r.id for r in rows if r.status == "RUNNING"]
        kept = running[-1] if running else rows[0].id
        others = [r for r in rows if r.id != kept]
        ended = {"status": "CANCELLED", "error_message": SUPERSEDED, "reason": "CANCELLED", "finished_ms": now_ms}
        conn.execute(update(job).where(job.c.id.in_([r.id for r in others])).values(**ended))
        why = {"actor": "upgrade", "target": "CANCELLED", "reason": "CANCELLED", "detail": SUPERSEDED}
        told = [{"job_id": r.id, "app_id": app_id, "source": r.status, "attempt": r.attempt, **why} for r in others]
        conn.execute(insert(event).values(at_ms=now_ms), told)


def ensure_indexes(conn: Connection, table: Table) -> None:
    """The table's indexes that aren't there yet, each where its dialect wants it."""
    there = {i["name"] for i in inspect(conn).get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in there and conn.dialect.name in index.info.get("dialects", (conn.dialect.name,)):
            index.create(conn)


def ensure_one_per_app(conn: Connection, placement: Table) -> None:
    """An app's place is its key; an installation that keeps an id of its own as the key gets a unique index."""
    inspector = inspect(conn)
    keys = [inspector.get_pk_constraint(placement.name)["constrained_columns"]]
    keys += [i["column_names"] for i in inspector.get_indexes(placement.name) if i["unique"]]
    keys += [u["column_names"] for u in inspector.get_unique_constraints(placement.name)]
    if ["app_id"] not in keys:
        op.create_index(f"{placement.name}_app", placement.name, ["app_id"], unique=True)
