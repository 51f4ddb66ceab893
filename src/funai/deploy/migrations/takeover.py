"""Tables of the platform's earlier implementation, whose keys are texts, taken over with all rows, and given back.

Each table is copied into one of our form, with our columns already in it, and the two change places in one RENAME. The
table of before stays beside it as ``…_field``. What was cut off is begun again, table by table; MySQL and MariaDB only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, MetaData, Table, inspect, text
from sqlalchemy.types import String

from funai.contracts.errors import ConfigError
from funai.deploy.migrations import adopt
from funai.deploy.migrations import schema_0001 as schema

BEFORE, TAKING, BACK, OURS = "_field", "_taking", "_back", "_funai"
_APP_ID = "'^[1-9][0-9]{0,18}$'"
_COUNTED = "'^[1-9][0-9]{0,14}$'"
STATUSES = ("PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")
MAX_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Taking:
    """How one table changes. ``{t}`` in an expression is the table of before; columns not named are copied as they are."""

    table: Table
    key: str
    alter: tuple[str, ...]
    """Clauses of the ALTER TABLE that gives an empty copy our form."""
    columns: dict[str, str] = field(default_factory=dict[str, str])
    drops: tuple[str, ...] = ()
    """Columns of before that are no columns of the copy."""
    order: str = ""
    back: dict[str, str] = field(default_factory=dict[str, str])
    """For the way back: columns of before from ours, ``t``."""

    @property
    def name(self) -> str:
        return self.table.name


JOB = Taking(
    schema.job,
    key="id",
    alter=(
        "DROP PRIMARY KEY",
        "CHANGE id old_id VARCHAR(64) NULL",
        "ADD COLUMN id BIGINT NOT NULL AUTO_INCREMENT FIRST",
        "ADD PRIMARY KEY (id)",
        "ADD UNIQUE KEY fun_ai_deploy_job_old_id (old_id)",
        "MODIFY app_id BIGINT NULL",
    ),
    columns={
        "id": f"CASE WHEN t.id REGEXP {_COUNTED} THEN CAST(t.id AS UNSIGNED) ELSE {{known}} END",
        "old_id": f"CASE WHEN t.id REGEXP {_COUNTED} THEN NULL ELSE t.id END",
        "app_id": "CAST(NULLIF(t.app_id, '') AS SIGNED)",
    },
    order="t.create_time, t.id",
    back={
        "id": "COALESCE(t.old_id, CAST(t.id AS CHAR))",
        "app_id": "CAST(t.app_id AS CHAR)",
        "error_message": "LEFT(t.error_message, 1000)",
        "create_time": "CASE WHEN t.old_id IS NULL THEN FROM_UNIXTIME(t.created_ms / 1000) ELSE t.create_time END",
        "update_time": "FROM_UNIXTIME(t.updated_ms / 1000)",
        "version": "COALESCE(t.version, 0)",
    },
)
NODE = Taking(
    schema.runtime_node,
    key="id",
    alter=("MODIFY id BIGINT NOT NULL AUTO_INCREMENT",),
    order="t.id",
    back={"last_heartbeat_at": "FROM_UNIXTIME(t.last_heartbeat_ms / 1000)"},
)
PLACEMENT = Taking(
    schema.placement,
    key="app_id",
    alter=("MODIFY app_id BIGINT NOT NULL",),
    columns={"app_id": "CAST(t.app_id AS SIGNED)"},
    order="t.app_id",
    back={"app_id": "CAST(t.app_id AS CHAR)", "last_active_at": "COALESCE(t.last_active_at, t.created_ms, 0)"},
)
_EPOCH = "'1970-01-01'"
APP_RUN = Taking(
    schema.app_run,
    key="app_id",
    alter=(
        "MODIFY app_id BIGINT NOT NULL",
        "MODIFY last_job_id BIGINT NULL",
        "MODIFY last_deployed_at DATETIME(6) NULL",
        "MODIFY last_active_at DATETIME(6) NULL",
    ),
    columns={
        "app_id": "CAST(t.app_id AS SIGNED)",
        "last_job_id": "(SELECT MIN(j.id) FROM fun_ai_deploy_job j WHERE j.old_id = t.last_job_id)",
        "last_deployed_at": f"TIMESTAMPADD(MICROSECOND, t.last_deployed_at * 1000, {_EPOCH})",
        "last_active_at": f"TIMESTAMPADD(MICROSECOND, t.last_active_at * 1000, {_EPOCH})",
        "last_deployed_ms": "t.last_deployed_at",
    },
    order="t.app_id",
    back={
        "app_id": "CAST(t.app_id AS CHAR)",
        "last_job_id": (
            "(SELECT COALESCE(j.old_id, CAST(j.id AS CHAR)) FROM fun_ai_deploy_job{ours} j WHERE j.id = t.last_job_id)"
        ),
        "last_error": "LEFT(t.last_error, 1000)",
        "last_deployed_at": "t.last_deployed_ms",
        "last_active_at": f"TIMESTAMPDIFF(MICROSECOND, {_EPOCH}, t.last_active_at) DIV 1000",
    },
)
ALL = (JOB, NODE, PLACEMENT, APP_RUN)


def waiting(conn: Connection) -> list[Taking]:
    """The tables that have the form of before, in the order in which they are taken."""
    if not adopt.is_mysql(conn):
        return []
    there = set(inspect(conn).get_table_names())
    return [t for t in ALL if t.name in there and _of_before(conn, t)]


def _of_before(conn: Connection, taking: Taking) -> bool:
    key = next((c for c in inspect(conn).get_columns(taking.name) if c["name"] == taking.key), None)
    if key is None:
        return False
    return isinstance(key["type"], String) or (taking is NODE and not _counts(conn, taking.name))


def _counts(conn: Connection, table: str) -> bool:
    found = text(
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :t"
        " AND column_name = 'id' AND extra LIKE '%auto_increment%'"
    )
    return bool(conn.execute(found, {"t": table}).scalar())


def take_over(conn: Connection) -> None:
    """Take what waits. Raises ConfigError with what can't be taken, before anything is changed."""
    if not (tables := waiting(conn)):
        return
    if refused := problems(conn, tables):
        raise ConfigError(refused)
    for taking in tables:
        _take(conn, taking)


def _take(conn: Connection, taking: Taking) -> None:
    name, copy = taking.name, taking.name + TAKING
    there = set(inspect(conn).get_table_names())
    _drop(conn, copy)
    ddl(conn, f"CREATE TABLE {copy} LIKE {name}")
    ddl(conn, f"ALTER TABLE {copy} {', '.join(taking.alter)}")
    adopt.adopt(conn, taking.table.to_metadata(MetaData(), name=copy))
    before = [str(c["name"]) for c in inspect(conn).get_columns(name)]
    once = name + OURS if taking is JOB and name + OURS in there else None
    known = "f.id" if once else "NULL"
    columns = {c: f"t.{c}" for c in before} | {c: how.replace("{known}", known) for c, how in taking.columns.items()}
    joined = f" LEFT JOIN {once} f ON f.old_id = t.id" if once else ""
    _copy_rows(conn, copy, columns, f"{name} t{joined} ORDER BY {taking.order}")
    _drop(conn, name + BEFORE, name + OURS)
    ddl(conn, f"RENAME TABLE {name} TO {name + BEFORE}, {copy} TO {name}")


def give_back(conn: Connection) -> list[str]:
    """The tables in the form of before, with what happened since; answers their names. Ours stay as ``…_funai``.

    Raises ConfigError when there is nothing to give back.
    """
    there = set(inspect(conn).get_table_names())
    tables = [t for t in ALL if t.name + BEFORE in there]
    if not adopt.is_mysql(conn) or not tables:
        raise ConfigError(["this database was not taken over from an earlier installation: there is nothing to give back"])
    for taking in tables:
        name, copy = taking.name, taking.name + BACK
        _drop(conn, copy)
        ddl(conn, f"CREATE TABLE {copy} LIKE {name + BEFORE}")
        columns = {str(c["name"]): f"t.{c['name']}" for c in inspect(conn).get_columns(copy)}
        jobs = "" if JOB.name + BEFORE in set(inspect(conn).get_table_names()) else OURS
        columns |= {c: how.replace("{ours}", jobs) for c, how in taking.back.items()}
        _copy_rows(conn, copy, columns, f"{name} t")
        _drop(conn, name + OURS)
        ddl(conn, f"RENAME TABLE {name} TO {name + OURS}, {copy} TO {name}")
        _drop(conn, name + BEFORE)
    _drop(conn, "funai_deploy_version")
    return [t.name for t in tables]


def _copy_rows(conn: Connection, into: str, columns: dict[str, str], source: str) -> None:
    """All rows in one transaction, which the next DDL statement commits."""
    ddl(conn, f"INSERT INTO {into} ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source}")  # noqa: S608  # names of our own tables


def _drop(conn: Connection, *tables: str) -> None:
    there = set(inspect(conn).get_table_names())
    for table in tables:
        if table in there:
            ddl(conn, f"DROP TABLE {table}")


def ddl(conn: Connection, sql: str) -> None:
    """Run one statement."""
    conn.exec_driver_sql(sql)


# ---------------------------------------------------------------------- looking first


def plan(conn: Connection) -> list[str]:
    """What an upgrade would do with the tables of before, a line each."""
    lines = [
        f"{t.name}: {_count(conn, t.name)} rows are copied into a table of this version; "
        f"the one of before stays as {t.name}{BEFORE}"
        for t in waiting(conn)
    ]
    if JOB in waiting(conn):
        lines.append("job ids become numbers in the order of create_time; a job's text id goes on answering as oldId")
    return lines


def problems(conn: Connection, tables: Sequence[Taking]) -> list[str]:
    """Why these tables can't be taken, a line each; empty when they can."""
    found: list[str] = []
    for taking in tables:
        found += [f"{taking.name}: {what}" for what in _problems(conn, taking)]
    return found


def _problems(conn: Connection, taking: Taking) -> list[str]:
    names = {str(c["name"]) for c in inspect(conn).get_columns(taking.name)}
    needed = {_source(how) for how in taking.columns.values()} | {taking.key, "create_time"}
    if lacking := sorted(c for c in needed if c and c not in names):
        return [f"has no column {', '.join(lacking)}; it is no table of the installation that this upgrade knows"]
    found = _foreign_keys(conn, taking.name)
    if taking is NODE:
        if bad := _count(conn, taking.name, "id < 1"):
            found.append(f"{bad} rows have an id below 1; give them other ids, and in {PLACEMENT.name}.node_id too")
        return found
    optional = " AND app_id <> ''" if taking is JOB else ""
    bad_app = f"app_id NOT REGEXP {_APP_ID}{optional}"
    if bad := _count(conn, taking.name, bad_app):
        example = conn.exec_driver_sql(f"SELECT app_id FROM {taking.name} WHERE {bad_app} LIMIT 1").scalar()  # noqa: S608  # names of our own tables
        found.append(
            f"{bad} rows have an app_id that is no number, such as {example!r}; delete or correct them, then run again"
        )
    if taking is JOB:
        words = ", ".join(f"'{s}'" for s in STATUSES)
        if bad := _count(conn, taking.name, f"status NOT IN ({words})"):
            found.append(f"{bad} rows have a status other than {words}; correct them, then run again")
        found += _times(conn, taking.name)
    return found


def _source(expression: str) -> str:
    """The column of before that an expression reads."""
    return expression.partition("t.")[2].partition(" ")[0].strip(",)")


def _times(conn: Connection, table: str) -> list[str]:
    """Times ahead of the clock were written in another zone than the one they are read in."""
    sql = f"SELECT TIMESTAMPDIFF(MINUTE, NOW(), MAX(update_time)), @@session.time_zone FROM {table}"  # noqa: S608  # names of our own tables
    ahead, zone = conn.exec_driver_sql(sql).one()
    if ahead is None or int(ahead) < 10:
        return []
    return [
        (
            f"the newest update_time is {int(ahead)} minutes ahead of the database's clock (time zone {zone}): the old service "
            "wrote its times in another zone; name it with --time-zone (or deploy.datasource.time-zone), such as Asia/Shanghai"
        )
    ]


def _foreign_keys(conn: Connection, table: str) -> list[str]:
    found = text(
        "SELECT constraint_name FROM information_schema.referential_constraints WHERE constraint_schema = DATABASE()"
        " AND (table_name = :t OR referenced_table_name = :t)"
    )
    names = [str(n) for n in conn.execute(found, {"t": table}).scalars()]
    return [f"has foreign keys ({', '.join(names)}), which the copy would lose; drop them, then run again"] if names else []


def _count(conn: Connection, table: str, where: str = "1 = 1") -> int:
    rows: Any = conn.exec_driver_sql(f"SELECT COUNT(*) FROM {table} WHERE {where}").scalar()  # noqa: S608  # names of our own tables
    return int(rows or 0)
