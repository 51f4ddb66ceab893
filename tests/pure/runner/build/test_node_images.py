"""Which Node images a Runner has, and the making of one that can't be pulled."""

from __future__ import annotations

import asyncio

from funai.dockerfile.node.versions import MAJORS
from funai.runner.build.phase import NodeImages


def silent(_: str) -> None:
    pass


def test_node_images_leave_out_what_could_not_be_had_and_never_all() -> None:
    nodes = NodeImages()
    nodes.missing(22)
    assert nodes.available() == (20, 24)
    for major in MAJORS:
        nodes.missing(major)
    assert nodes.available() == MAJORS


async def test_provide_makes_each_image_once_and_says_so() -> None:
    made, said = list[int](), list[str]()

    async def make(major: int) -> bool:
        made.append(major)
        return major == 22

    nodes = NodeImages(make)
    answers = await asyncio.gather(*(nodes.provide(major, said.append) for major in (22, 24, 22)))
    assert answers == [True, False, False] and made == [22, 24] and len(said) == 2


async def test_provide_without_a_maker_makes_nothing() -> None:
    assert not await NodeImages().provide(22, silent)
