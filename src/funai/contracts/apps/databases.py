"""The wire of apps' databases: the same shapes from the agent through Deploy and the API to the command line."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from funai.contracts.agent import AgentId
from funai.contracts.apps.idlist import MAX_PACKED, pack_ids, unpack_ids
from funai.contracts.wire import EntityId, Instant, Wire

MAX_LISTED = 5_000
"""Ids that are sent as a list; more are packed."""


class Kind(StrEnum):
    MONGO = "mongo"
    POSTGRES = "postgres"


class DatabaseOp(StrEnum):
    """What can be asked about an app's databases; the last word of the call's path at every service."""

    CREATE = "create"
    INFO = "info"
    URL = "url"
    ROTATE = "rotate"
    DROP = "drop"
    BACKUP = "backup"
    RESTORE = "restore"
    FORGET = "forget"
    """The app is no more: drop what is to go with it."""


BackupName = Annotated[str, Field(pattern=r"^(mongo|postgres)-[0-9]{8}T[0-9]{6}[0-9]{3}Z$")]


class DatabaseWish(Wire):
    """The body of a call. ``kind`` may be left out where the platform has one kind of database."""

    kind: Kind | None = None
    backup: BackupName | None = None
    """Of a restore; the newest one when it is left out."""
    from_app_id: EntityId | None = None
    """Of a restore: the app whose backup it is, which may be a deleted one of the same owner; the same app by default."""


class DatabaseCall(DatabaseWish):
    """A request to the agent."""

    user_id: AgentId
    app_id: AgentId


class Backup(Wire):
    name: str
    kind: Kind
    size_bytes: int
    created_at: Instant
    app_id: int


class AppDatabase(Wire):
    """``own_account``: it has an account of its own, else it is reached with the platform's shared one."""

    kind: Kind
    name: str
    own_account: bool
    size_bytes: int | None = None
    """None when the server doesn't answer."""
    quota_bytes: int | None = None
    read_only: bool = False
    """It is over its quota: it may be read and emptied, not filled."""


class AppDatabases(Wire):
    app_id: int
    kinds: list[Kind] = Field(default_factory=list[Kind])
    """What this platform offers."""
    databases: list[AppDatabase] = Field(default_factory=list[AppDatabase])
    backups: list[Backup] = Field(default_factory=list[Backup])
    """Newest first."""
    notes: list[str] = Field(default_factory=list[str])
    """What its owner should know, each in Chinese and English."""


class DatabaseUrl(Wire):
    kind: Kind
    name: str
    url: str
    variables: dict[str, str] = Field(default_factory=dict[str, str])
    """What the app gets at its next deploy or start."""


class Dropped(Wire):
    app_id: int
    dropped: list[str]


class Orphans(Wire):
    """What one place has of apps that are no more. ``deleted`` is set when it was asked to delete."""

    databases: list[str] = Field(default_factory=list[str])
    containers: list[str] = Field(default_factory=list[str])
    repositories: list[str] = Field(default_factory=list[str])
    """Git repositories, ``owner/name``."""
    images: list[str] = Field(default_factory=list[str])
    """Repositories in the registry, with their namespace."""
    waiting: list[str] = Field(default_factory=list[str])
    """Seen as orphaned, but for less than the grace."""
    deleted: list[str] = Field(default_factory=list[str])
    failed: list[str] = Field(default_factory=list[str])
    node: str | None = None
    """A node's name, or ``git`` or ``registry``."""

    @property
    def found(self) -> list[str]:
        """Everything of them, whatever it is."""
        return [*self.databases, *self.containers, *self.repositories, *self.images]


class ExistingApps(Wire):
    """The ids of all apps that there are: listed, or packed where they are many.

    A peer that doesn't know ``packed_app_ids`` sees an empty list, which it refuses.
    """

    existing_app_ids: list[AgentId] = Field(default_factory=list[AgentId], max_length=1_000_000)
    packed_app_ids: str = Field(default="", max_length=MAX_PACKED)

    @property
    def existing(self) -> set[int]:
        """Raises BadInput for a text that is not packed ids."""
        return {int(app_id) for app_id in self.existing_app_ids} | set(unpack_ids(self.packed_app_ids))

    @staticmethod
    def fields_of(ids: Sequence[int]) -> dict[str, Any]:
        """As they are sent."""
        if len(ids) <= MAX_LISTED:
            return {"existing_app_ids": [str(i) for i in ids]}
        return {"packed_app_ids": pack_ids(ids)}


class FindOrphans(ExistingApps):
    """``only`` names what may be deleted: what was there before the apps' ids were read. None: all of it."""

    delete: bool = False
    only: list[str] | None = Field(default=None, max_length=100_000)
    grace_hours: float = Field(default=24, ge=0, le=8760)


class FindOrphanImages(ExistingApps):
    """``delete`` names the repositories that are old enough to go; one that is no orphan any more stays."""

    delete: list[str] = Field(default_factory=list[str], max_length=100_000)


class AppIds(Wire):
    app_ids: list[int]
    count: int


class MongoVerb(StrEnum):
    """The explorer's calls; the last word of their paths at every service."""

    COLLECTIONS = "collections"
    FIND = "find"
    DOC = "doc"
    INSERT_ONE = "insert-one"
    UPDATE_BY_ID = "update-by-id"
    DELETE_BY_ID = "delete-by-id"
    CREATE_COLLECTION = "create-collection"

    @property
    def reads_by_get(self) -> bool:
        return self in (MongoVerb.COLLECTIONS, MongoVerb.DOC)


class MongoCall(Wire):
    """A call of the explorer on its way from the API through Deploy: ``body`` is what its caller sent."""

    user_id: EntityId
    app_id: EntityId
    body: dict[str, object] = Field(default_factory=dict[str, object])


class MongoFind(Wire):
    """``filter``, ``projection`` and ``sort`` are JSON texts."""

    collection: str
    filter: str | dict[str, object] | None = "{}"
    projection: str | dict[str, object] | None = None
    sort: str | dict[str, object] | list[object] | None = None
    limit: int = Field(default=50, ge=1, le=200)
    skip: int = Field(default=0, ge=0, le=10_000)


class MongoDoc(Wire):
    collection: str
    doc: str | dict[str, object]


class MongoUpdate(Wire):
    collection: str
    id: str = Field(min_length=1, max_length=1024)
    update: str | dict[str, object]
    upsert: bool = False


class MongoById(Wire):
    collection: str
    id: str = Field(min_length=1, max_length=1024)


class MongoField(Wire):
    name: str = Field(min_length=1, max_length=120)
    type: str = "string"
    required: bool = False
    nullable: bool = False


class MongoCreate(Wire):
    """``fields`` is a list of fields, or a JSON schema as text or object."""

    collection: str
    strict: bool = False
    fields: str | dict[str, object] | Annotated[list[MongoField], Field(max_length=200)] | None = None
