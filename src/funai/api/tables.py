"""The API's tables. Times are epoch milliseconds; flags are 0 or 1, which all three databases spell alike."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from funai.base.db.columns import BigId as Id
from funai.base.db.columns import LongText, exact

metadata = MetaData()


def _flag(name: str) -> Column[int]:
    return Column(name, SmallInteger(), nullable=False, default=0, server_default="0")


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger(), nullable=nullable)


users = Table(
    "funai_user",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("user_name", exact(64), nullable=False),
    Column("name_key", exact(64), nullable=False, unique=True),  # lower case: Ada and ada are one person
    Column("password_hash", String(255), nullable=False),
    _flag("admin"),
    _flag("disabled"),
    Column("token_version", Integer(), nullable=False, default=0, server_default="0"),
    Column("api_key_hash", exact(64), nullable=True, unique=True),
    Column("git_account", exact(64), nullable=True),  # at the Gitea, linked by an operator
    _time("create_time"),
    _time("update_time"),
    Index("uq_funai_user_git_account", "git_account", unique=True),
    sqlite_autoincrement=True,
)

ssh_keys = Table(
    "funai_ssh_key",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("user_id", Id, ForeignKey("funai_user.id"), nullable=False, index=True),
    Column("title", exact(100), nullable=False),
    Column("fingerprint", exact(64), nullable=False, unique=True),  # one key, one person
    Column("public_key", Text(), nullable=False),
    _time("create_time"),
    sqlite_autoincrement=True,
)

apps = Table(
    "funai_app",
    metadata,
    # An id is never given out twice: containers, images and releases are named by it.
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("user_id", Id, ForeignKey("funai_user.id"), nullable=False),
    Column("app_name", exact(120), nullable=False),
    Column("description", Text(), nullable=True),
    Column("app_type", String(64), nullable=True),
    Column("app_key", String(128), nullable=True),
    Column("workspace_json", Text(), nullable=True),  # what the development side knew last, of an installation of before
    Column("status", SmallInteger(), nullable=False),
    _flag("slot"),  # holds one of its owner's running slots
    _flag("serving"),  # a release of it answers the public
    Column("job_id", Id, nullable=True),
    Column("last_error", Text(), nullable=True),
    Column("deploy_url", String(500), nullable=True),
    Column("access_url", String(500), nullable=True),
    Column("container_port", Integer(), nullable=True),
    # What is under way (deploy, start), under which key, since when, and what to go back to if it comes to nothing.
    Column("op", String(16), nullable=True),
    Column("op_key", exact(64), nullable=True),
    Column("op_job_id", Id, nullable=True),
    _time("op_since", nullable=True),
    Column("prev_status", SmallInteger(), nullable=True),
    Column("prev_slot", SmallInteger(), nullable=True),
    _flag("repo_ready"),  # 0, or the kind of host where its repository is made
    _time("repo_next", nullable=True),  # when that is tried again
    _flag("deleting"),
    Column("delete_tries", Integer(), nullable=False, default=0, server_default="0"),
    _time("delete_next", nullable=True),
    Column("delete_error", Text(), nullable=True),
    _time("create_time"),
    _time("update_time"),
    UniqueConstraint("user_id", "app_name", name="uq_funai_app_name"),
    Index("ix_funai_app_status", "status", "id"),
    Index("ix_funai_app_deleting", "deleting", "delete_next"),
    Index("ix_funai_app_repo", "repo_ready", "repo_next"),
    sqlite_autoincrement=True,
)

app_env = Table(
    "funai_app_env",
    metadata,
    Column("app_id", Id, ForeignKey("funai_app.id"), primary_key=True, autoincrement=False),
    Column("sealed", LongText, nullable=False),
    Column("secret_names", Text(), nullable=True),  # a JSON list: what its owner marked
    _time("update_time"),
)

repo_discards = Table(
    "funai_repo_discard",
    metadata,
    Column("repo", exact(190), primary_key=True),
    _time("create_time"),
)

orphans = Table(
    "funai_orphan",  # since when something at a place looks as if its app were no more
    metadata,
    Column("place", exact(16), primary_key=True),
    Column("name", exact(190), primary_key=True),
    _time("since"),
)

sweeps = Table(
    "funai_sweep",  # a task that one of several instances does now and then
    metadata,
    Column("name", exact(32), primary_key=True),
    _time("ran"),
)

idempotency = Table(
    "funai_idempotency",
    metadata,
    Column("user_id", Id, primary_key=True, autoincrement=False),
    Column("key_hash", exact(64), primary_key=True),
    Column("request_hash", exact(64), nullable=False),
    Column("op_key", exact(64), nullable=False, index=True),
    Column("answer", LongText, nullable=True),  # null while under way
    _time("create_time"),
    Index("ix_funai_idempotency_time", "create_time"),
)

old_jobs = Table(
    "funai_old_job",  # the number that stands for a text id of an older Deploy service
    metadata,
    Column("number", BigInteger(), primary_key=True, autoincrement=False),
    Column("old_id", String(64), nullable=False),
    _time("create_time"),
)

audit = Table(
    "funai_audit",  # audit/trail.py
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _time("create_time"),
    Column("action", String(32), nullable=False),
    Column("actor_id", Id, nullable=True),
    Column("actor_name", exact(64), nullable=False),
    _flag("admin"),
    Column("user_id", Id, nullable=True),
    Column("app_id", Id, nullable=True),
    Column("target", exact(200), nullable=False),
    Column("detail", exact(1000), nullable=False),
    Column("address", String(64), nullable=False),
    Column("trace_id", String(64), nullable=True),
    Index("ix_funai_audit_create_time", "create_time", "id"),
    Index("ix_funai_audit_action", "action", "id"),
    Index("ix_funai_audit_actor_name", "actor_name", "id"),
    Index("ix_funai_audit_admin", "admin", "id"),
    Index("ix_funai_audit_app_id", "app_id", "id"),
    sqlite_autoincrement=True,
)
