"""What Deploy answers, as values; an answer of another shape is Deploy's failure, which callers outlive."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from funai.contracts.errors import CalleeFailed

T = TypeVar("T", bound=BaseModel)


def read(model: type[T], data: Any) -> T:
    """Raises CalleeFailed."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        raise CalleeFailed(service="deploy", detail=f"{model.__name__}: {e.errors()[0]['loc']}") from e


def every(model: type[T], rows: Any) -> list[T]:
    """Raises CalleeFailed."""
    if not isinstance(rows, list):
        raise CalleeFailed(service="deploy", detail=f"{model.__name__}: not a list")
    return [read(model, row) for row in rows]  # pyright: ignore[reportUnknownVariableType]


def record(data: Any) -> dict[str, Any]:
    """Raises CalleeFailed."""
    if not isinstance(data, dict):
        raise CalleeFailed(service="deploy", detail="not an object")
    return data  # pyright: ignore[reportUnknownVariableType]
