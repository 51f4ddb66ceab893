"""A real registry whose disk is full says so, before anybody looks for the fault elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from funai.base.clients.registry.contract import RegistryFailed, Why
from funai.base.clients.registry.distribution import Manifests
from funai.base.clients.registry.http import RegistryHttp
from funai.contracts.rules import ImageRef
from tests.parts.registry import Registry


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Registry]:
    """Its disk has 512 KiB."""
    made = Registry(tmp_path)
    made.storage.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(made.storage)], check=False)
    if mounted.returncode != 0:
        pytest.skip(f"uid {os.getuid()} may not mount a tmpfs")
    try:
        made.start()
        (made.storage / "fill").write_bytes(bytes(480 * 1024))
        yield made
    finally:
        made.stop()
        subprocess.run(["umount", str(made.storage)], check=True)


async def test_takes_on_a_full_disk_is_a_failure_of_its_own(tiny: Registry) -> None:
    http = RegistryHttp(plain=lambda _: True, trusted=[tiny.address])
    image = ImageRef(tiny.address, "t/u1-app1", "latest", None)
    for _ in range(2):
        with pytest.raises(RegistryFailed) as caught:
            await Manifests(http).takes(image)
        assert caught.value.why is Why.FULL
    await http.close()


async def test_takes_on_a_disk_with_room_says_nothing(registry: Registry) -> None:
    http = RegistryHttp(plain=lambda _: True, trusted=[registry.address])
    await Manifests(http).takes(ImageRef(registry.address, "t/u1-app1", "latest", None))
    await http.close()
