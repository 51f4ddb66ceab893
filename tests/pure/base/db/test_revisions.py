"""Each room's migrations are one line without forks."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

SOURCE = Path(__file__).parents[4] / "src" / "funai"


@pytest.mark.parametrize("room", ["api", "deploy"])
def test_migrations_of_a_room_have_one_head_and_one_number_each(room: str) -> None:
    scripts = ScriptDirectory(str(SOURCE / room / "migrations"))
    assert len(scripts.get_heads()) == 1
    numbers = [script.revision for script in scripts.walk_revisions()]
    assert numbers == sorted(set(numbers), reverse=True)
