"""The charts of an app's use, from the API's answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from funai.contracts.apps.usage import AppUsage
from funai.i18n.sizes import size

CHARTS = (
    ("requests", "n", ("requests", "errors")),
    ("latency", "ms", ("average_ms", "slowest_ms")),
    ("bytes", "bytes", ("bytes_in", "bytes_out")),
    ("cpu", "percent", ("cpu_percent",)),
    ("memory", "bytes", ("memory_bytes",)),
)
"""Name, unit and columns; columns are fields of :class:`~funai.contracts.apps.usage.UsagePoint`."""
COUNTED = frozenset({"requests", "latency", "bytes"})
"""Charts of what the gateway counts."""


@dataclass(frozen=True, slots=True)
class Row:
    at: datetime
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def empty(self) -> bool:
        """Whether no step has a value."""
        return all(value is None for row in self.rows for value in row.values)

    def shown(self, value: float | None) -> str:
        """A value as the table shows it."""
        if value is None:
            return "–"
        if self.unit == "bytes":
            return size(int(value))
        return f"{value:g}" + {"ms": " ms", "percent": " %"}.get(self.unit, "")


def charts(usage: AppUsage) -> list[Chart]:
    """The charts that this node has figures for."""
    return [
        Chart(name, unit, columns, tuple(Row(p.at, tuple(getattr(p, column) for column in columns)) for p in usage.points))
        for name, unit, columns in CHARTS
        if usage.counts_requests or name not in COUNTED
    ]
