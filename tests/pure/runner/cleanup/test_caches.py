"""Which build caches stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from funai.runner.cleanup.caches import Cache, Limits, caches_in, superfluous

NOW, DAY = 1_000_000.0, 86_400.0


@pytest.mark.parametrize(
    ("sizes", "gone"),
    [
        ({"npm": (10, 1), "next": (20, 2)}, []),
        ({"npm": (10, 15), "next": (20, 2)}, ["npm"]),
        ({"npm": (50, 3), "next": (60, 2)}, ["npm"]),
        ({"npm": (50, 1), "next": (120, 2)}, ["next"]),
        ({"npm": (120, 1)}, ["npm"]),
        ({"npm": (90, 20), "next": (90, 2)}, ["npm"]),
    ],
)
def test_superfluous_takes_old_caches_and_then_the_least_recently_changed(
    sizes: dict[str, tuple[int, float]], gone: list[str]
) -> None:
    caches = [Cache(Path(name), size, NOW - days * DAY) for name, (size, days) in sizes.items()]
    assert [c.path.name for c in superfluous(caches, NOW, Limits(100, 14 * DAY))] == gone


def test_caches_in_counts_what_lies_there_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "large").write_bytes(b"x" * 300_000)
    folder = tmp_path / "caches"
    (folder / "npm" / "a").mkdir(parents=True)
    (folder / "npm" / "a" / "file").write_bytes(b"x" * 100_000)
    (folder / "npm" / "link").symlink_to(tmp_path / "outside")
    (folder / "lock").write_text("")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (found,) = caches_in(folder)
    assert found.path.name == "npm" and 100_000 <= found.bytes < 200_000
    assert caches_in(tmp_path / "missing") == []


def test_caches_in_knows_the_newest_change_whatever_a_file_says_of_itself(tmp_path: Path) -> None:
    file = tmp_path / "npm" / "file"
    file.parent.mkdir()
    file.write_text("x")
    os.utime(file, (4e9, 4e9))
    (found,) = caches_in(tmp_path)
    assert found.changed_at == file.stat().st_ctime
