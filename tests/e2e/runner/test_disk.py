"""The caches stay under their watermarks, and what is in use stays."""

from __future__ import annotations

import json
import secrets

from funai.runner.evict import is_cache, parse_images
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.waiting import eventually, wait_until

BASE = "FROM node:20-bookworm-slim\n"


async def test_superseded_layers_and_old_mirrors_go_what_is_used_stays(make_world: MakeWorld) -> None:
    world: World = await make_world(cache_images=4, cache_bytes=1024 * 1024, clean_seconds=0.5)
    await world.stop()
    used = world.podman.cli("run", "--detach", "--network", "none", "docker.io/library/node:20-bookworm-slim", "sleep", "600")
    try:
        big = secrets.token_hex(900_000)
        bare = world.repo("app", {"Dockerfile": BASE + "COPY a /a\nRUN true\n", "a": "0"})
        patient = world.settings.model_copy(update={"clean_seconds": 600.0})
        world.settings, own = patient, world.settings
        world.start()
        for n in range(3):
            world.push(bare, {"a": str(n), "big": big})
            assert (await world.ended(world.build(bare, appId=1)))["status"] == "SUCCEEDED"
        before = len(_images(world))
        await world.stop()
        world.settings = own
        world.start()
        await eventually(lambda: len(_images(world)) < before and _cache(world) <= 4, seconds=60)
        names = [n for i in _images(world) for n in i.get("Names") or []]
        assert any("node:20" in n for n in names) and any("u1-app1:latest" in n for n in names)
        assert (await world.ended(world.build(bare, appId=1)))["status"] == "SUCCEEDED"
        other = world.repo("other", {"Dockerfile": BASE, "big": secrets.token_hex(700_000)})
        assert (await world.ended(world.build(other)))["status"] == "SUCCEEDED"
        await eventually(lambda: len(list((own.workdir / "mirrors").iterdir())) == 1, seconds=10)
        assert world.podman.cli("inspect", "--format", "{{.State.Running}}", used) == "true"
    finally:
        world.podman.cli("rm", "--force", "--time", "0", used)


def _images(world: World) -> list[dict[str, object]]:
    """What the engine lists; it gives up when an image goes while it looks, and is asked again."""
    return wait_until(
        lambda: json.loads(world.podman.cli("images", "--all", "--format", "json", check=False) or "null"), seconds=20
    )


def _cache(world: World) -> int:
    """Only what the janitor counts: other tests' images in the shared storage are not its business."""
    return sum(map(is_cache, parse_images(json.dumps(_images(world)))))
