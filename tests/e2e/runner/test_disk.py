"""The caches stay under their watermarks, what is in use stays, and what went is counted. On a storage of its own."""

from __future__ import annotations

import copy
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from funai.base.process.ports import free_port
from funai.runner.cleanup.image_eviction import is_cache, parse_images
from funai.standalone.parts import engine_conf
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman as SharedPodman
from tests.parts.slots import release_mount
from tests.parts.waiting import eventually

TINY = "docker.io/library/tiny:1"
DOCKERFILE = f"FROM {TINY}\nCOPY a /a\nCOPY b /b\n"


@pytest.fixture
def podman(podman: SharedPodman) -> Iterator[SharedPodman]:
    """The session's Podman on an empty storage with one small base image: nothing that other tests left counts here."""
    # Podman takes at most 50 characters for its run directory.
    folder = Path(tempfile.mkdtemp(prefix="funai-disk-", dir="/tmp"))
    own = copy.copy(podman)
    own.workspace = folder
    conf = folder / "storage.conf"
    places = {"driver": "overlay", "graphroot": str(folder / "root"), "runroot": str(folder / "run")}
    conf.write_text(engine_conf.render({"storage": places}))
    own.choice = podman.choice.model_copy(
        update={"environment": {**podman.choice.environment, "CONTAINERS_STORAGE_CONF": str(conf)}}
    )
    (folder / "tiny").mkdir()
    (folder / "tiny" / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    own.cli("build", "--quiet", "--tag", TINY, folder / "tiny")
    yield own
    own.cli("rm", "--all", "--force", "--time", "0")
    release_mount(folder / "root" / "overlay")
    shutil.rmtree(folder, ignore_errors=True)


@only_in_full  # tests/pure/runner/sandbox/test_upkeep.py is in every run
async def test_superseded_layers_and_old_mirrors_go_what_is_used_stays(make_world: MakeWorld) -> None:
    port = free_port()
    world: World = await make_world(
        sandbox="off", cache_images=4, cache_bytes=1024 * 1024, clean_seconds=600.0, metrics_port=port
    )
    bare = world.repo("app", {"Dockerfile": DOCKERFILE, "a": "0", "b": "0"})
    used = "docker.io/library/used:1"
    for n in range(3):
        world.push(bare, {"a": str(n), "big": secrets.token_hex(600_000)})
        report = await world.ended(world.build(bare, appId=1))
        assert report["status"] == "SUCCEEDED", report
        if n == 0:
            # Built first, so the first to go, but for what stands on it: a container, and an agent's pull by digest.
            world.podman.cli("tag", f"{world.registry.address}/t/u1-app1:latest", used)
            world.podman.cli("create", "--network", "none", used, "/none")
    before, mirror = len(images(world)), tree(world)
    await restart(world, clean_seconds=0.3)
    await eventually(lambda: cache(world) <= 4 and not mirror.exists(), seconds=10, what=str(images(world)))
    names = [n for i in images(world) for n in i.get("Names") or []]
    assert len(images(world)) < before and {TINY, used, f"{world.registry.address}/t/u1-app1:latest"} <= set(names)
    async with httpx.AsyncClient() as http:

        async def counted() -> dict[str, float]:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
            rows = (line.rpartition(" ") for line in text.splitlines() if line.startswith("funai_runner_evicted"))
            return {name: float(value) for name, _, value in rows}

        kinds = [f'funai_runner_evicted_total{{kind="{kind}"}}' for kind in ("images", "mirrors")]
        kinds.append('funai_runner_evicted_bytes_total{kind="mirrors"}')

        async def all_counted() -> bool:
            found = await counted()
            return all(found[kind] > 0 for kind in kinds)

        await eventually(all_counted, seconds=5)
    await restart(world, clean_seconds=600.0)
    world.push(bare, {"a": "2", "c": "3"})
    again = world.build(bare, appId=1)
    assert (await world.ended(again))["status"] == "SUCCEEDED"
    assert "Using cache" in world.deploy.log(again), "the newest build's layers are the ones that stay"


@only_in_full  # tests/pure/runner/sandbox/test_upkeep.py is in every run
async def test_a_full_disk_takes_the_base_images_that_builds_pulled_and_no_other(make_world: MakeWorld) -> None:
    world: World = await make_world(sandbox="off", clean_seconds=600.0)
    alias = world.registry.address.replace("127.0.0.1", "localhost")
    world.podman.allow_insecure([world.registry.address, alias])
    for name in ("pulled", "standing"):
        pushed = f"{world.registry.address}/lib/{name}:1"
        (world.root / name).mkdir()
        (world.root / name / "Dockerfile").write_text(f"FROM {TINY}\nCOPY Dockerfile /{name}\n")
        world.podman.cli("build", "--quiet", "--format", "docker", "--tag", pushed, world.root / name)
        world.podman.cli("push", "--quiet", "--tls-verify=false", pushed)
        world.podman.cli("rmi", pushed)
        job = world.build(world.repo(name, {"Dockerfile": f"FROM {alias}/lib/{name}:1\nCOPY a /a\n", "a": name}))
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
    world.podman.cli("create", "--network", "none", f"{alias}/lib/standing:1", "/none")
    await restart(world, clean_seconds=0.3, disk_high_pct=1.0, disk_low_pct=1.0)

    def named() -> set[str]:
        return {n for i in images(world) for n in i.get("Names") or []}

    await eventually(lambda: f"{alias}/lib/pulled:1" not in named(), seconds=15, what=str(named()))
    assert {TINY, f"{alias}/lib/standing:1"} <= named()


async def restart(world: World, **settings: object) -> None:
    await world.stop()
    world.settings = world.settings.model_copy(update=settings)
    world.start()


def images(world: World) -> list[dict[str, list[str] | None]]:
    """What the engine lists; it gives up when an image goes while it looks, and is asked again by who waits."""
    return json.loads(world.podman.cli("images", "--all", "--format", "json", check=False) or "[]")


def cache(world: World) -> int:
    """What the janitor counts; more than any limit while the list can't be had."""
    return sum(map(is_cache, parse_images(json.dumps(images(world))))) or 1_000


def tree(world: World) -> Path:
    """The mirror's folder."""
    (only,) = (world.settings.workdir / "mirrors").glob("*.git")
    return only
