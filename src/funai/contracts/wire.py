"""What every wire model shares: camelCase on the wire, snake_case in Python, unknown fields ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel

T = TypeVar("T")

MAX_ID = 2**63 - 1

_UNFIT = r"\s\x00-\x1f\x7f-\x9f\u2028\u2029/\\"
_NAME = rf"^[^{_UNFIT}]([^{_UNFIT}]| [^{_UNFIT}])*$"

EntityId = Annotated[int, Field(ge=1, le=MAX_ID)]
"""An id as databases hold it: a positive signed 64-bit integer."""

Name = Annotated[str, Field(min_length=1, max_length=128, pattern=_NAME)]
"""A runner's or node's: any text in any language, without control characters and path separators."""


def iso_z(moment: datetime) -> str:
    """``2026-01-31T09:00:00.123Z``: ISO-8601, UTC, milliseconds, ``Z``. A naive time is taken as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_epoch_ms(ms: int) -> datetime:
    """Epoch milliseconds to an aware UTC time."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def clamped(low: int, high: int) -> AfterValidator:
    """A number out of bounds counts as the nearest bound: older callers ask for more than there is to have."""
    return AfterValidator(lambda asked: min(max(asked, low), high))


Instant = Annotated[datetime, PlainSerializer(iso_z, return_type=str, when_used="json")]


class Wire(BaseModel):
    """Base of every model that crosses a process boundary."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="ignore", serialize_by_alias=True
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object as it goes over the wire, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Envelope(Wire, Generic[T]):
    """``{"code":200,"message":"…","data":…}``; on errors also a stable ``reason`` and the ``traceId``."""

    code: int
    message: str
    data: T | None = None
    reason: str | None = None
    trace_id: str | None = None
