"""Server-sent events, as a pure line machine (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """``name`` is ``message`` unless the server named it; ``id`` is empty when it gave none."""

    data: str
    name: str = "message"
    id: str = ""


class Decoder:
    """Feed it lines without their line ends; it answers an event when a blank line completes one."""

    def __init__(self) -> None:
        self._name = ""
        self._id = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        if line == "":
            return self._complete()
        if line.startswith(":"):
            return None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _complete(self) -> Event | None:
        event = Event("\n".join(self._data), self._name or "message", self._id) if self._data else None
        self._name, self._data = "", []
        return event
