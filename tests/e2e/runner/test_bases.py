"""What a build stands on: looked at by the engine's own resolution before anything of it runs."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from funai.base.process.proc import Command
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import parse_image
from funai.runner.build.base_images import BaseAbsent, Bases
from funai.runner.build.image import ENGINE_FAILED, Builder
from funai.runner.build.output import Output
from funai.runner.build.reading import Reading, allowed
from funai.runner.commands.engine import BuildRequest, Engine
from funai.runner.failures import JobFailed
from funai.runner.main import engine_storage, prepare_engine
from funai.runner.publish.registry import Registry as RegistryClient
from funai.runner.settings import MIB, RunnerSettings
from funai.standalone.parts import engine_conf
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.registry import Registry

NODE = "FROM node:20-bookworm-slim\n"


class Images:
    """Images that a tenant got into the engine's storage; removed at the end."""

    def __init__(self, podman: Podman) -> None:
        self.podman, self.made = podman, list[str]()

    def make(self, name: str, dockerfile: str) -> str:
        folder = self.podman.workspace / "images"
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text(f"FROM scratch\nLABEL salt={secrets.token_hex(8)}\n{dockerfile}")
        self.podman.cli("build", "--quiet", "--format", "docker", "--tag", name, folder)
        self.made.append(name)
        return name


@pytest.fixture
def images(podman: Podman) -> Iterator[Images]:
    made = Images(podman)
    yield made
    for name in made.made:
        podman.cli("rmi", "--force", name, check=False)


async def test_a_base_image_brings_no_trigger_that_a_dockerfile_may_not_have(world: World, images: Images) -> None:
    mine = "http://127.0.0.1:7002/internal/health"
    images.make("docker.io/evil/add:1", f"ONBUILD ADD {mine} /x\n")
    images.make("docker.io/evil/env:1", f"ENV U={mine}\n")
    images.make("docker.io/evil/from:1", f"ONBUILD COPY --from={world.registry.address}/t/u9-app9 / /x\n")
    images.make("docker.io/honest/base:1", "ONBUILD COPY greeting /greeting\nONBUILD ARG NPM_REGISTRY\n")
    texts = {
        "add": "FROM evil/add:1\n",
        "late": NODE + "FROM docker.io/evil/add:1\n",
        "env": "FROM evil/env:1\nADD $U /x\n",
        "from": "FROM evil/from:1\n",
        "honest": "FROM honest/base:1\n",
    }
    jobs = {name: world.build(world.repo(name, {"Dockerfile": text, "greeting": "hi"})) for name, text in texts.items()}
    ended = {name: await world.ended(job) for name, job in jobs.items()}
    for name, word in {"add": "ONBUILD", "late": "ONBUILD", "env": "$U", "from": "ONBUILD"}.items():
        failed(ended[name], "CONTRACT_INVALID", "user", word)
        assert "STEP" not in world.deploy.log(jobs[name])
    assert ended["honest"]["status"] == "SUCCEEDED", world.deploy.log(jobs["honest"])


async def test_another_apps_image_is_out_of_reach_by_whatever_name(world: World) -> None:
    bare = world.repo("theirs", {"Dockerfile": NODE + "COPY secret /s\n", "secret": "1"})
    assert (await world.ended(world.build(bare, appId=71)))["status"] == "SUCCEEDED"
    full = f"{world.registry.address}/t/u1-app71"
    lines = [
        "FROM u1-app71",
        "FROM t/u1-app71:latest",
        f"{NODE}COPY --from=u1-app71 /s /s",
        f"\ufeffFROM {full}",
        f"{NODE}ENV A=`\nFROM {full}",
        f"{NODE}COPY --fr\\om={full} /s /s",
    ]
    for n, line in enumerate(lines):
        thief = world.build(world.repo(f"thief{n}", {"Dockerfile": line + "\n"}))
        failed(await world.ended(thief), "CONTRACT_INVALID", "user")


async def test_a_short_name_is_not_taken_for_an_image_that_ends_alike(make_world: MakeWorld, images: Images) -> None:
    world: World = await make_world(pull="never")
    images.make("evil.example/nobodys:1", "ENV A=1\n")
    images.make("docker.io/library/honest:1", "ENV A=1\n")
    world.settings.workdir.mkdir(exist_ok=True)
    engine = prepare_engine(world.settings)
    bases = Bases(world.settings, engine, RegistryClient(None, frozenset()), await engine_storage(engine))
    may = allowed(parse_image("r.example/t/u1-app1"), world.settings)
    with pytest.raises(BaseAbsent):
        async with bases.ready(["nobodys:1"], may, world.root, never):
            pass
    for name in ("honest:1", "library/honest:1", "evil.example/nobodys:1"):
        async with bases.ready([name], may, world.root, never) as found:
            assert len(found) == 1


async def test_a_registry_that_never_answers_delays_nobody_elses_images(world: World) -> None:
    world.settings.workdir.mkdir(exist_ok=True)
    engine = prepare_engine(world.settings)
    bases = Bases(world.settings, engine, RegistryClient(None, frozenset()), await engine_storage(engine))
    may = allowed(parse_image("r.example/t/u1-app1"), world.settings)
    pulling = asyncio.Event()

    async def hang(_: Command) -> int:
        pulling.set()
        return await asyncio.Event().wait()

    async def slow() -> None:
        async with bases.ready(["evil.example/node:20-bookworm-slim"], may, world.root, hang):
            pass

    hanging = asyncio.create_task(slow())
    await pulling.wait()
    async with asyncio.timeout(60), bases.ready([NODE.split()[1]], may, world.root, never) as found:
        assert len(found) == 1
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_all_images_of_a_build_share_its_time(tmp_path: Path) -> None:
    program = tmp_path / "docker-slow"
    found = json.dumps(["sha256:0", ["r.example/a:latest"], [], {}])
    program.write_text(f'#!/bin/sh\n[ "$1" = image ] && echo \'{found}\'\n[ "$1" = pull ] && sleep 0.4\nexit 0\n')
    program.chmod(0o755)
    settings = RunnerSettings(
        agent_token=SecretStr("agent-token-1"), workdir=tmp_path, build_seconds=1, cgroup_parent="", pull="always"
    )
    builder = Builder(settings, Engine(str(program), tmp_path), RegistryClient(None, frozenset()), tmp_path)
    request = BuildRequest(tmp_path, "r/n/u1-app1:latest", tmp_path / "iid", tmp_path / "tmp")
    dockerfile = "FROM r.example/a\n" + "".join(f"COPY --from=r.example/a{n} / /\n" for n in range(5))
    reading = Reading(dockerfile, allowed(parse_image("r/n/u1-app1"), settings), {})
    with pytest.raises(JobFailed) as caught:
        await builder.build(request, reading, (), "job", bytearray().extend)
    assert caught.value.code is FailureCode.BUILD_TIMEOUT


@only_in_full  # what a build writes is counted in every run: test_hostile.py
async def test_a_base_image_that_unpacks_to_more_than_the_disk_limit(make_world: MakeWorld) -> None:
    """400 MiB of zeros are 400 KiB on the wire: what counts is what the pull writes."""
    world: World = await make_world(build_disk_bytes=64 * MIB)
    alias = world.registry.address.replace("127.0.0.1", "localhost")
    world.podman.allow_insecure([world.registry.address, alias])
    await asyncio.to_thread(push_zeros, world.registry.address, "evil/zeros", 400 * MIB)
    job = world.build(world.repo("app", {"Dockerfile": f"FROM {alias}/evil/zeros:1\n"}))
    failed(await world.ended(job), "OUT_OF_DISK", "user", "64 MiB")
    assert "evil/zeros" not in world.podman.cli("images")


def push_zeros(registry: str, repository: str, size: int) -> None:
    """An image of one file of zeros, made without holding it."""
    info = tarfile.TarInfo("zeros")
    info.size = size
    head, block, count = info.tobuf(), bytes(MIB), size // MIB
    layer = gzip.compress(head) + gzip.compress(block) * count + gzip.compress(bytes(1024))
    whole = hashlib.sha256(head)
    for _ in range(count):
        whole.update(block)
    whole.update(bytes(1024))
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{whole.hexdigest()}"]}}
    with httpx.Client(base_url=f"http://{registry}/v2/{repository}", trust_env=False) as http:

        def blob(kind: str, data: bytes) -> dict[str, object]:
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            there = http.post("/blobs/uploads/").raise_for_status().headers["Location"]
            http.put(there, params={**httpx.URL(there).params, "digest": digest}, content=data).raise_for_status()
            return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(data)}

        manifest = {
            "schemaVersion": 2,
            "config": blob("config.v1+json", json.dumps(config).encode()),
            "layers": [blob("layer.v1.tar+gzip", layer)],
        }
        kind = "application/vnd.oci.image.manifest.v1+json"
        http.put("/manifests/1", content=json.dumps(manifest), headers={"Content-Type": kind}).raise_for_status()


async def never(_: Command) -> int:
    raise AssertionError("nothing is to be pulled")


@only_in_full  # four builds; other apps' images are out of reach in every run
async def test_the_login_serves_the_apps_own_images_and_no_alias(
    make_world: MakeWorld, private_registry: Registry, images: Images
) -> None:
    assert private_registry.login
    user, password = private_registry.login
    address = private_registry.address
    world: World = await make_world(registry=address, registry_username=user, registry_password=password)
    podman = world.podman
    podman.registries.write_text(
        engine_conf.registries_conf([world.registry.address, address])
        + f'\n[[registry]]\nprefix = "alias.example"\nlocation = "{address}"\ninsecure = true\n'
    )
    own = await world.ended(world.build(world.repo("app", {"Dockerfile": NODE + "LABEL a=b\n"}), appId=72, acrRegistry=address))
    assert own["status"] == "SUCCEEDED", own
    secret = images.make(f"{address}/private/base:1", "ENV A=1\n")
    podman.cli("push", "--quiet", "--creds", f"{user}:{password}", "--tls-verify=false", secret)
    podman.cli("rmi", "--force", secret)
    podman.cli("rmi", "--force", f"{address}/t/u1-app72:latest")
    alias = world.build(world.repo("alias", {"Dockerfile": "FROM alias.example/private/base:1\n"}), acrRegistry=address)
    mine = world.build(
        world.repo("again", {"Dockerfile": f"FROM {address}/t/u1-app72:latest\nENV B=1\n"}), appId=72, acrRegistry=address
    )
    assert (await world.ended(mine))["status"] == "SUCCEEDED", world.deploy.log(mine)
    report = await world.ended(alias)
    assert report["status"] == "FAILED" and report["failure"]["code"] != "INTERNAL", report
    assert "STEP 2" not in world.deploy.log(alias)


@only_in_full  # three builds; arguments are in tests/pure/dockerfile
async def test_arguments_go_to_who_declares_them_and_a_preprocessor_has_no_say(make_world: MakeWorld) -> None:
    world: World = await make_world(npm_registry="https://npm.example.com/")
    plain = world.build(world.repo("plain", {"Dockerfile": NODE}))
    wants = world.build(world.repo("wants", {"Dockerfile": NODE + "ARG NPM_REGISTRY\nRUN echo it is $NPM_REGISTRY\n"}))
    source = NODE + '#include "/etc/passwd"\nRUN echo built\n'
    included = world.build(world.repo("in", {"Dockerfile.in": source}), dockerfilePath="Dockerfile.in")
    for job in (plain, wants, included):
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
        assert "not consumed" not in world.deploy.log(job)
    assert "it is https://npm.example.com/" in world.deploy.log(wants)
    assert "root:" not in world.deploy.log(included)


async def test_a_build_that_lost_an_image_under_its_feet_is_built_again(tmp_path: Path) -> None:
    """The engine's own failure, with and without an image that went meanwhile."""
    listing = tmp_path / "overlay-images" / "images.json"
    listing.parent.mkdir()
    settings = RunnerSettings(agent_token=SecretStr("agent-token-1"), workdir=tmp_path)
    builder = Builder(settings, Engine("podman", tmp_path), RegistryClient(None, frozenset()), tmp_path)
    request = BuildRequest(tmp_path, "r/n/u1-app1:latest", tmp_path / "iid", tmp_path)
    said, runs = bytearray(), list[int]()

    async def run(_: Command) -> int:
        runs.append(len(runs))
        if removes:
            listing.write_text(json.dumps([{"id": "b"}]))
        return ENGINE_FAILED if len(runs) == 1 else 0

    for removes in (True, False):
        listing.write_text(json.dumps([{"id": "a"}, {"id": "b"}]))
        runs.clear()
        code = await builder.repeated(request, run, Output(10_000, said.extend))
        assert (code, len(runs)) == ((0, 2) if removes else (ENGINE_FAILED, 1))
    assert said.count(b"once more") == 1
