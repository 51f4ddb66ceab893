"""A job's log as bytes: what of a chunk is new, what still fits, and where UTF-8 may be cut."""

from __future__ import annotations

from dataclasses import dataclass

from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason
from funai.i18n.joblog import both


@dataclass(frozen=True, slots=True)
class State:
    """``stored`` bytes of the job's log are kept; this attempt's runner goes on from its own offset ``next``."""

    stored: int
    next: int
    attempt: int
    capped: bool


@dataclass(frozen=True, slots=True)
class Appended:
    """What to store (may be empty) and the state after it."""

    data: bytes
    state: State


def append(state: State, offset: int, chunk: bytes, cap: int) -> Appended:
    """Take in a chunk that starts at the runner's ``offset``. What was already taken is skipped; a gap is LOG_GAP.

    A later attempt's part begins with a line that says so; at ``cap`` stored bytes a line says that the rest is dropped.
    """
    if offset > state.next:
        raise Conflict(Reason.LOG_GAP, expected=state.next)
    fresh = chunk[state.next - offset :]
    after = state.next + len(fresh)
    if not fresh or state.capped:
        return Appended(b"", State(state.stored, after, state.attempt, state.capped))
    lead = b""
    if state.next == 0 and state.attempt > 1:
        lead = f"\n--- {both('attempt', n=state.attempt)} ---\n".encode()
    data, room = lead + fresh, max(0, cap - state.stored)
    capped = len(data) > room
    if capped:
        data = data[: whole(data, room)] + f"\n[{both('log_full', cap=cap)}]\n".encode()
    return Appended(data, State(state.stored + len(data), after, state.attempt, capped))


def whole(data: bytes, end: int) -> int:
    """The largest cut ≤ ``end`` that splits no UTF-8 character."""
    if end >= len(data):
        return len(data)
    cut = end
    while cut > 0 and end - cut < 4 and data[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut if data[cut] & 0xC0 != 0x80 else end


def cut(data: bytes, limit: int, *, more: bool) -> bytes:
    """At most ``limit`` bytes for an answer that ends on a whole character; ``more``: bytes follow that aren't here."""
    if len(data) <= limit and not more:
        return data
    if len(data) <= limit:
        tail = _incomplete_tail(data)
        return data[: len(data) - tail] if tail < len(data) else data
    end = whole(data, limit)
    return data[: end or limit]


def _incomplete_tail(data: bytes) -> int:
    """Bytes at the end that begin a character but don't finish it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        need = 1 if byte < 0x80 else 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4
        return back if need > back else 0
    return 0


def broken_start(data: bytes) -> int:
    """Bytes at the start of ``data`` that belong to a character begun before it."""
    return next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
