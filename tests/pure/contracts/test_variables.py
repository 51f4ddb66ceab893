"""Variables of two releases side by side: names, never values."""

from __future__ import annotations

import pytest

from funai.contracts.apps.variables import changes


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({}, {}, {}),
        ({"A": "1"}, {"A": "1"}, {}),
        ({"A": "1", "B": "2"}, {"B": "3", "C": ""}, {"A": "REMOVED", "B": "CHANGED", "C": "ADDED"}),
        ({"A": ""}, {}, {"A": "REMOVED"}),
        ({"A": "1"}, {"A": "1", "build:A": ""}, {"A": "CHANGED"}),
        ({"A": "1", "build:A": ""}, {}, {"A": "REMOVED"}),
    ],
)
def test_changes_of_two_releases_are_told_by_name(old: dict[str, str], new: dict[str, str], found: dict[str, str]) -> None:
    assert changes(old, new) == found
