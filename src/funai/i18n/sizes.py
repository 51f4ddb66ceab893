"""Bytes for people."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int | None, unknown: str = "") -> str:
    """``1.5 GiB``, ``2 GiB``, ``512 B``: one decimal at the most, none where it is zero; ``unknown`` for None."""
    if count is None:
        return unknown
    value, step = float(count), 0
    while round(value, 1) >= 1024 and step < len(_UNITS) - 1:
        value, step = value / 1024, step + 1
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[step]}"
