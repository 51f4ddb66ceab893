"""What Deploy services of before answer in another form. Pure.

Job ids of older installations are texts (UUIDs); ours are numbers. Used while an old Deploy service or a taken-over
database may still name a job by its text. It can go when no installation keeps a job of before.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from funai.contracts.wire import MAX_ID

FIRST = 2**52
"""Numbers made from texts are 2**52 and more: no database counts so far, and every JSON reader keeps them exact."""
_NUMBER = re.compile(r"[0-9]{1,19}")
_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def number_of(old_id: str) -> int:
    """The number that stands for a text id in a process that counts jobs by numbers: the same for the same text."""
    return FIRST | int.from_bytes(hashlib.sha256(old_id.encode()).digest()[:7]) >> 4


def stands_for_text(number: int) -> bool:
    return FIRST <= number < 2 * FIRST


def is_text(given: object) -> bool:
    """Whether it can be an old job's id and is no number."""
    return isinstance(given, str) and not _NUMBER.fullmatch(given) and _TEXT.fullmatch(given) is not None


def with_number(job: object) -> object:
    """A Job's JSON object with a numeric ``id``; a text id moves to ``oldId``."""
    if not isinstance(job, dict):
        return job
    given = cast("dict[str, Any]", job)
    old = given.get("id")
    return {**given, "id": number_of(str(old)), "oldId": old} if is_text(old) else given


def drain_report(answer: Any) -> Any:
    """A drain's JSON object; the number that older Deploy services give in place of ``moved`` goes to ``movedCount``."""
    if not isinstance(answer, dict):
        return answer
    given = cast("dict[str, Any]", answer)
    count = given.get("moved")
    if isinstance(count, bool) or not isinstance(count, int):
        return given
    return {"sourceNodeId": 0, **given, "moved": [], "movedCount": count}


def _number_or_text(given: object) -> object:
    return int(given) if isinstance(given, str) and _NUMBER.fullmatch(given) else given


JobRef = Annotated[
    Annotated[int, Field(ge=1, le=MAX_ID)] | Annotated[str, Field(pattern=rf"^{_TEXT.pattern}$")],
    BeforeValidator(_number_or_text),
]
"""How callers name a job: its number, or the text that it had before."""
