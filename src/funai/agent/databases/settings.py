"""What an operator may set about apps' databases. The ten ``RUNTIME_MONGO_*`` names are the contract's."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from funai.base.config.settings import Secret, Settings, key

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(value: object) -> object:
    """``512m``, ``1.5g``, ``64Mi`` or bytes → bytes; anything else is left for pydantic to refuse."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    return int(float(found[1]) * _UNITS[found[2].lower()]) if found else value


Size = Annotated[int, BeforeValidator(parse_size)]


def _template(value: str) -> str:
    if "{appId}" not in value or not re.fullmatch(r"[A-Za-z0-9_{}-]{1,100}", value):
        raise ValueError("must contain {appId}, and beside {userId} only letters, digits, _ and -")
    if set(re.findall(r"\{[^}]*\}?", value)) - {"{userId}", "{appId}"}:
        raise ValueError("may contain {userId} and {appId} and no other braces")
    return value


def _postgres(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    try:
        port = url.port
    except ValueError:
        port = 0
    if url.scheme not in ("postgres", "postgresql") or not url.hostname or port == 0:
        raise ValueError("must look like postgresql://admin:password@10.0.0.5:5432/postgres")
    if not url.username or not unquote(url.password or ""):
        raise ValueError("needs a user and a password: apps' own passwords are derived from it")
    return value


Template = Annotated[str, AfterValidator(_template)]


class DatabaseSettings(Settings):
    """The part of the agent's settings that is about databases."""

    mongo_host: str = key(
        "RUNTIME_MONGO_HOST",
        "",
        doc="MongoDB for apps, as this node and its apps reach it; empty: apps get none",
        pattern=r"^[A-Za-z0-9.:_-]*$",
    )
    mongo_port: int = key("RUNTIME_MONGO_PORT", 27017, doc="Its port", ge=1, le=65535)
    mongo_username: str = key(
        "RUNTIME_MONGO_USERNAME", "", doc="Its account; with RUNTIME_MONGO_PER_APP_USERS one that manages users"
    )
    mongo_password: Secret | None = key("RUNTIME_MONGO_PASSWORD", None, doc="Its password")
    mongo_auth_source: str = key("RUNTIME_MONGO_AUTH_SOURCE", "admin", doc="The database that knows the account")
    mongo_db_template: Template = key("RUNTIME_MONGO_DB_TEMPLATE", "db_u{userId}_a{appId}", doc="Name of an app's database")
    mongo_precreate: bool = key(
        "RUNTIME_MONGO_PRECREATE", True, doc="Make the database (`__funai_meta__`) before the app starts"
    )
    mongo_precreate_timeout_seconds: float = key(
        "RUNTIME_MONGO_PRECREATE_TIMEOUT_SECONDS",
        3.0,
        doc="How long that may take; the deploy goes on in any case",
        gt=0,
        le=60,
    )
    mongo_drop_on_delete: bool = key(
        "RUNTIME_MONGO_DROP_ON_DELETE", False, doc="Drop an app's database when the app is deleted"
    )
    mongo_per_app_users: bool = key(
        "RUNTIME_MONGO_PER_APP_USERS", False, doc="An account for each app that reaches its own database and nothing else"
    )
    postgres_url: Annotated[Secret, AfterValidator(_postgres)] | None = key(
        "RUNTIME_POSTGRES_URL",
        None,
        doc="PostgreSQL for apps, as this node and its apps reach it, with an account that may make databases and roles: "
        "`postgresql://admin:password@10.0.0.5:5432/postgres`; empty: apps get none",
    )
    postgres_db_template: Template = key(
        "RUNTIME_POSTGRES_DB_TEMPLATE", "db_u{userId}_a{appId}", doc="Name of an app's database"
    )
    postgres_drop_on_delete: bool = key(
        "RUNTIME_POSTGRES_DROP_ON_DELETE", False, doc="Drop an app's database and role when the app is deleted"
    )
    postgres_connections: int = key("RUNTIME_POSTGRES_CONNECTIONS", 20, doc="Connections an app may hold", ge=1, le=1000)
    database_quota: Size = key(
        "RUNTIME_DATABASE_QUOTA",
        0,
        doc="Size an app's database may have, e.g. `1g`; over it the app may no longer write; 0 = no limit",
        ge=0,
    )
    database_sweep_seconds: float = key("RUNTIME_DATABASE_SWEEP_SECONDS", 60.0, doc="How often databases are measured", gt=0)
    backup_dir: str = key(
        "RUNTIME_BACKUP_DIR", "", doc="Where backups of apps' databases go; default: beside the agent's state"
    )
    backup_hours: float = key("RUNTIME_BACKUP_HOURS", 0, doc="A backup of each database so often; 0 = none", ge=0, le=8760)
    backup_keep: int = key("RUNTIME_BACKUP_KEEP", 7, doc="Backups kept of each app's database", ge=1, le=1000)

    @model_validator(mode="after")
    def _accounts(self) -> Self:
        if bool(self.mongo_username) != (self.mongo_password is not None):
            raise ValueError("RUNTIME_MONGO_USERNAME and RUNTIME_MONGO_PASSWORD: set both or neither")
        if self.mongo_host and self.mongo_per_app_users and not self.mongo_username:
            raise ValueError(
                "RUNTIME_MONGO_PER_APP_USERS: needs RUNTIME_MONGO_USERNAME and RUNTIME_MONGO_PASSWORD to make accounts with"
            )
        return self
