"""What developers test is what people install."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def test_locks_of_people_and_developers_name_the_same_versions() -> None:
    people, developers = (
        dict(_PIN.findall((ROOT / name).read_text())) for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert people and {name: developers.get(name) for name in people} == people
