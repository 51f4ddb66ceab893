"""``workspace*`` fields of an app: what the development side of an installation of before knew last. Pure.

They are kept as they came and given back by the same names; nothing here changes them. It can go when no caller reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic.alias_generators import to_camel

PREFIX = "workspace"
MOST, LONGEST = 32, 4_000
"""Columns, and characters of one value."""


def kept(row: Mapping[str, Any]) -> str | None:
    """The columns of a row that begin so, as JSON by their names on the wire; None without any."""
    found = {to_camel(name.lower()): _plain(value) for name, value in row.items() if name.lower().startswith(PREFIX)}
    filled = {name: value for name, value in list(found.items())[:MOST] if value is not None}
    return json.dumps(filled, ensure_ascii=False) if filled else None


def fields(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}


def _plain(value: Any) -> Any:
    """As JSON has it: a time in ISO form, and MySQL's ``BIT(1)`` as true or false."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return bool(value[0]) if len(value) == 1 else value.decode("utf-8", "replace")[:LONGEST]
    return value.isoformat() if isinstance(value, date | datetime) else str(value)[:LONGEST]
