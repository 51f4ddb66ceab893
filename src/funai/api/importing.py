"""Users and apps of an earlier installation, taken from its tables with their ids. Run again, it takes what is new.

Containers, images and repositories are named by these ids, so they can't change. An id that is another's here is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, MetaData, Table, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.compat import workspace
from funai.api.tables import apps, old_jobs, users
from funai.base.db.engine import Database
from funai.base.db.rows import continue_ids
from funai.contracts.compat import is_text, number_of
from funai.contracts.errors import ConfigError
from funai.contracts.states import AppStatus

Row = dict[str, Any]
Columns = Mapping[str, tuple[str, ...]]
"""A field of ours → the columns that it may be in, the likeliest first."""
USERS, APPS, JOBS = "fun_ai_user", "fun_ai_app", "fun_ai_deploy_job"
_TIMES = {
    "create_time": ("create_time", "created_at", "gmt_create"),
    "update_time": ("update_time", "updated_at", "gmt_modified"),
}
USER_COLUMNS: Columns = {
    "id": ("id", "user_id"),
    "user_name": ("user_name", "username", "name"),
    "password": ("password", "password_hash", "user_password"),
    **_TIMES,
}
APP_COLUMNS: Columns = {
    "id": ("id", "app_id"),
    "user_id": ("user_id", "owner_id"),
    "app_name": ("app_name", "name"),
    "app_status": ("app_status", "status"),
    "app_description": ("app_description", "description"),
    "app_type": ("app_type", "type"),
    "app_key": ("app_key",),
    "last_deploy_error": ("last_deploy_error",),
    **_TIMES,
}
NEEDED = {"id", "user_name", "password", "user_id", "app_name", "app_status"}
"""Without these nothing is taken; what else is missing stays empty, which a note says."""
NO_LOGIN = "-"
"""Kept as the hash of an account whose password can't be taken: no password makes it."""


@dataclass
class Imported:
    taken: int = 0
    known: int = 0
    """Were here already."""
    notes: list[str] = field(default_factory=list[str])


async def import_users(source: Database, into: Database, columns: Mapping[str, str] | None = None) -> Imported:
    """Accounts by id, with their BCrypt hashes. ``columns``: field of ours → the column that it is in there.

    Raises ConfigError for a table that it can't read, or an id that is taken.
    """
    report = Imported()
    rows = await _named(source, USERS, USER_COLUMNS, columns or {}, report)
    fresh: list[Row] = []
    here = await into.fetch_all(select(users.c.id, users.c.user_name, users.c.name_key))
    by_id, names = {int(r["id"]): r for r in here}, {str(r["name_key"]) for r in here}
    for row in rows:
        user_id, name = row["id"], str(row["user_name"]).strip()
        if user_id in by_id:
            _same(USERS, user_id, str(by_id[user_id]["user_name"]), name)
            report.known += 1
            continue
        if name.lower() in names:
            report.notes.append(f"user {user_id} ({name}): an account of this name is here under another id; left out")
            continue
        names.add(name.lower())
        password = str(row["password"] or "")
        if not password.startswith("$2"):
            report.notes.append(f"user {user_id} ({name}): the password is no BCrypt hash; an admin has to set one")
            password = NO_LOGIN
        fresh.append(
            {
                "id": user_id,
                "user_name": name,
                "name_key": name.lower(),
                "password_hash": password,
                "create_time": _ms(row.get("create_time")),
                "update_time": _ms(row.get("update_time")),
            }
        )
    report.taken = await _insert(into, users, fresh)
    return report


async def import_apps(source: Database, into: Database, columns: Mapping[str, str] | None = None) -> Imported:
    """Apps by id, with what serves. Their owners must be here. ``columns`` as of users. Raises ConfigError."""
    report, texts = Imported(), set[str]()
    rows = await _named(source, APPS, APP_COLUMNS, columns or {}, report)
    owners = {int(r["id"]) for r in await into.fetch_all(select(users.c.id))}
    here = {int(r["id"]): r for r in await into.fetch_all(select(apps.c.id, apps.c.user_id))}
    if strangers := sorted({r["user_id"] for r in rows} - owners):
        raise ConfigError([f"{APPS}: the users {strangers[:10]} of some apps are not here; run `funai import users` first"])
    jobs = await _last_jobs(source)
    fresh: list[Row] = []
    for row in rows:
        app_id, user_id = row["id"], row["user_id"]
        if app_id in here:
            _same(APPS, app_id, str(here[app_id]["user_id"]), str(user_id))
            report.known += 1
            continue
        job = jobs.get(app_id)
        if isinstance(job, str):
            texts.add(job)
        fresh.append(_app(row, app_id, user_id, number_of(job) if isinstance(job, str) else job))
    _tell_names_apart(fresh, report)
    known = {str(r["old_id"]) for r in await into.fetch_all(select(old_jobs.c.old_id))}
    at = _ms(None)
    await _insert(into, old_jobs, [{"number": number_of(t), "old_id": t, "create_time": at} for t in sorted(texts - known)])
    report.taken = await _insert(into, apps, fresh)
    return report


def _app(row: Row, app_id: int, user_id: int, job: int | None) -> Row:
    status = row["app_status"]
    serves = status == AppStatus.READY and job is not None
    if status == AppStatus.DEPLOYING or (status == AppStatus.READY and not serves) or status not in set(AppStatus):
        status = int(AppStatus.UPLOADED)
    return {
        "id": app_id,
        "user_id": user_id,
        "app_name": str(row.get("app_name") or f"app-{app_id}")[:120],
        "description": row.get("app_description"),
        "app_type": _short(row.get("app_type"), 64),
        "app_key": _short(row.get("app_key"), 128),
        "workspace_json": row["workspace_json"],
        "status": status,
        "slot": int(serves),
        "serving": int(serves),
        "job_id": job,
        "last_error": row.get("last_deploy_error"),
        "create_time": _ms(row.get("create_time")),
        "update_time": _ms(row.get("update_time")),
    }


def _tell_names_apart(fresh: list[Row], report: Imported) -> None:
    """A user's apps have different names here."""
    seen: set[tuple[int, str]] = set()
    for row in fresh:
        if (row["user_id"], row["app_name"]) in seen:
            name = f"{row['app_name'][:100]} ({row['id']})"
            report.notes.append(f"app {row['id']}: its owner has another one of its name; it is called {name}")
            row["app_name"] = name
        seen.add((row["user_id"], row["app_name"]))


async def _last_jobs(source: Database) -> dict[int, int | str]:
    """The newest job of each app, where the source has them: by number, or by the text of before."""
    if JOBS not in await _tables(source):
        return {}
    found: dict[int, int | str] = {}
    for row in sorted(await _rows(source, JOBS, ("id", "app_id", "create_time")), key=lambda r: str(r["create_time"])):
        if str(row["app_id"] or "").isdecimal():
            found[int(row["app_id"])] = str(row["id"]) if is_text(row["id"]) else int(row["id"])
    return found


async def _tables(db: Database) -> list[str]:
    async with db.read() as conn:
        return await conn.run_sync(lambda c: inspect(c).get_table_names())


async def _rows(db: Database, name: str, columns: Sequence[str] = ()) -> list[Row]:
    def reflect(conn: Connection) -> Table:
        if name not in inspect(conn).get_table_names():
            raise ConfigError(
                [f"{name}: is not in {db.url.render_as_string(hide_password=True)}; name the right one with --from"]
            )
        return Table(name, MetaData(), autoload_with=conn)

    async with db.read() as conn:
        table = await conn.run_sync(reflect)
        wanted = [table.c[c] for c in columns] if columns else [table]
        return [dict(r) for r in (await conn.execute(select(*wanted))).mappings()]


async def _columns(db: Database, table: str) -> list[str]:
    async with db.read() as conn:
        return await conn.run_sync(lambda c: [str(column["name"]) for column in inspect(c).get_columns(table)])


async def _insert(db: Database, table: Table, rows: list[Row]) -> int:
    async def work(conn: AsyncConnection) -> None:
        for start in range(0, len(rows), 500):
            await conn.execute(insert(table), rows[start : start + 500])
        if rows and "id" in table.c:
            await continue_ids(conn, table)

    async with db.write() as conn:
        await work(conn)
    return len(rows)


async def _named(db: Database, table: str, columns: Columns, given: Mapping[str, str], report: Imported) -> list[Row]:
    """Rows with fields of ours. Raises ConfigError that lists the columns which are there, and how to name one."""
    if unknown := sorted(given.keys() - columns.keys()):
        raise ConfigError([f"--column {unknown[0]}=…: is no field of {table}; those are {', '.join(columns)}"])
    rows = await _rows(db, table)
    there = await _columns(db, table)
    chosen, problems = _choose(columns, given, there)
    if problems:
        listed = f"it has {', '.join(there)}"
        raise ConfigError([f"{table}: {problem}; {listed}" for problem in problems])
    if missing := [name for name in columns if name not in chosen]:
        report.notes.append(f"{table}: has no column for {', '.join(missing)}; they stay empty (name one by --column)")
    return [
        _read(table, {name: row[column] for name, column in chosen.items()}) | {"workspace_json": workspace.kept(row)}
        for row in rows
    ]


def _choose(columns: Columns, given: Mapping[str, str], there: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Field → column, and what is wrong. Pure."""
    exact = {name.lower(): name for name in reversed(there)}
    chosen: dict[str, str] = {}
    problems: list[str] = []
    for field_, guesses in columns.items():
        wanted = (given[field_],) if field_ in given else guesses
        found = next((exact[name.lower()] for name in wanted if name.lower() in exact), None)
        if found is not None:
            chosen[field_] = found
        elif field_ in given:
            problems.append(f"--column {field_}={given[field_]}: there is no such column")
        elif field_ in NEEDED:
            problems.append(f"{field_} is in none of {', '.join(guesses)}; name its column by --column {field_}=…")
    return chosen, problems


def _read(table: str, row: Row) -> Row:
    """The row with its numbers as such. Raises ConfigError that names the row and the field."""
    for name in ("id", "user_id", "app_status"):
        if name in row:
            try:
                row[name] = int(row[name] or 0)
            except (ValueError, TypeError) as e:
                raise ConfigError([f"{table}: {row['id']}: {name} is {row[name]!r}, which is no number"]) from e
    if row["id"] <= 0:
        raise ConfigError([f"{table}: a row has no id; is the right column named by --column id=…?"])
    return row


def _same(table: str, row_id: int, here: str, there: str) -> None:
    if here != there:
        raise ConfigError(
            [f"{table}: {row_id} is another's here ({here}, there {there}); import into a database without accounts of its own"]
        )


def _short(value: Any, length: int) -> str | None:
    return str(value)[:length] if value is not None else None


def _ms(moment: Any) -> int:
    known = moment if isinstance(moment, datetime) else datetime.now(UTC)
    return round((known if known.tzinfo else known.replace(tzinfo=UTC)).timestamp() * 1000)
