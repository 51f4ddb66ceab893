"""Which images of earlier releases go from a node."""

from __future__ import annotations

import pytest

from funai.agent.engine.contract import StoredImage
from funai.agent.images.kept import repositories, superseded


def image(n: int, repository: str = "u1-app7") -> StoredImage:
    return StoredImage(str(n), (), (f"reg:5000/ns/{repository}@sha256:{n:064}",), n)


ALL = [image(n) for n in (3, 1, 5, 2, 4)]


@pytest.mark.parametrize(
    ("keep", "used", "gone"),
    [
        (3, {"5"}, ["2", "1"]),
        (3, {"2"}, ["3", "1"]),
        (3, {"5", "4"}, ["2", "1"]),
        (1, {"5"}, ["4", "3", "2", "1"]),
        (0, {"5"}, ["4", "3", "2", "1"]),
        (9, {"5"}, []),
    ],
)
def test_superseded_images_beyond_those_kept_go_oldest_last(keep: int, used: set[str], gone: list[str]) -> None:
    found = superseded(ALL, app_repository="u1-app7", used=used, held=(), registry="reg:5000", keep=keep)
    assert [d.id for d in found] == gone


def test_superseded_of_another_app_or_held_by_a_rollout_stays() -> None:
    held = [f"reg:5000/ns/u1-app7@sha256:{1:064}"]
    images = [*ALL, image(9, "u1-app77"), image(8, "u11-app7")]
    found = superseded(images, app_repository="u1-app7", used={"5"}, held=held, registry="reg:5000", keep=1)
    assert [d.id for d in found] == ["4", "3", "2"]


def test_repositories_are_the_apps_own() -> None:
    others = [StoredImage("a", ("docker.io/library/node:20", "localhost/u1-app7-base:1"))]
    assert repositories([*ALL, image(9, "u11-app77"), *others]) == ["u1-app7", "u11-app77"]
