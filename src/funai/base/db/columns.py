"""Columns and indexes that mean the same in all three databases, whatever each calls them."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Text
from sqlalchemy.dialects import mysql

UNICODE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
"""Options of a table. Whatever the database's own defaults are: all of Unicode, and no two tokens, keys or names that only
nearly match."""

BigId = BigInteger().with_variant(Integer(), "sqlite")
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
LongBytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
PARTIAL = ("sqlite", "postgresql")
LEADING = ("mysql", "mariadb")


def exact(length: int) -> String:
    """Text compared byte by byte, also where a database's own habit is to ignore case and accents."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def partial_index(name: str, where: Any, *columns: Column[Any], unique: bool = False) -> None:
    """An index over the few rows a queue works on, where the database has partial indexes."""
    index = Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where, info={"dialects": PARTIAL})
    index.ddl_if(callable_=cast("Any", _meant))


def leading_index(name: str, *columns: Column[Any]) -> None:
    """The same index with its condition as leading columns, where there are no partial ones."""
    Index(name, *columns, info={"dialects": LEADING}).ddl_if(callable_=cast("Any", _meant))


def _meant(_ddl: Any, index: Any, *_: Any, dialect: Any, **__: Any) -> bool:
    return dialect.name in index.info["dialects"]
