from __future__ import annotations

import pytest

from funai.i18n.sizes import size


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "–"),
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2 * 1024**3, "2 GiB"),
        (1024**3 - 1, "1 GiB"),
        (1000 * 1024**2, "1000 MiB"),
        (2**50, "1024 TiB"),
    ],
)
def test_size_of_a_count_has_the_largest_unit_below_it(count: int | None, words: str) -> None:
    assert size(count, "–") == words
