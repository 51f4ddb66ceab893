"""An app that listens where nobody can reach it."""

from __future__ import annotations

import pytest

from funai.agent.rollout.health import Listener, misplaced


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], False),
        ([Listener(3000, everywhere=True)], False),
        ([Listener(4000, everywhere=True)], True),
        ([Listener(3000, everywhere=False)], True),
        ([Listener(39123, everywhere=False)], False),
        ([Listener(3000, everywhere=True), Listener(9229, everywhere=True)], False),
    ],
)
def test_misplaced(found: list[Listener], expected: bool) -> None:
    assert misplaced(found, 3000) is expected
