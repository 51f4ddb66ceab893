"""The standard image on the real engine: signals, packages that can't be had, what stays out of an image."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from funai.standalone.parts.base_image import IMAGE
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman

LAUNCHER = Path(str(files("funai.dockerfile.node"))) / "funai-start.sh"
APP = """
process.on('SIGTERM', () => { console.log('TERM'); setTimeout(() => { console.log('bye'); process.exit(0); }, 300); });
setInterval(() => {}, 1000); console.log('up');
"""


@pytest.mark.parametrize(
    "script",
    [
        "node app.js",
        "npm start",
        "node app.js; true",
        "sh -c 'node app.js; exit $?'",
        "node app.js & wait",
        "node app.js | cat",
    ],
)
def test_start_in_every_shape_passes_sigterm_on_to_the_app(podman: Podman, tmp_path: Path, script: str) -> None:
    (tmp_path / "app.js").write_text(APP)
    (tmp_path / "package.json").write_text(json.dumps({"scripts": {"start": "node app.js"}}))
    stop = "until grep -q up /tmp/out; do sleep 0.1; done; kill -TERM $pid; wait $pid; code=$?; cat /tmp/out; exit $code"
    test = f'cd /app && sh /start.sh "$1" >/tmp/out 2>&1 & pid=$!; {stop}'
    mounts = ["--volume", f"{tmp_path}:/app:ro", "--volume", f"{LAUNCHER}:/start.sh:ro", "--network", "none"]
    said = podman.cli("run", "--rm", *mounts, IMAGE, "sh", "-c", test, "sh", script)
    assert said.splitlines()[-2:] == ["TERM", "bye"], said


async def test_a_package_registry_that_is_away_is_the_platforms_fault_and_leaves_nothing(make_world: MakeWorld) -> None:
    world: World = await make_world(npm_registry="http://127.0.0.1:9/")
    package = {"name": "x", "version": "1.0.0", "scripts": {"start": "node s.js"}, "dependencies": {"is-odd": "3.0.1"}}
    entry = {"version": "3.0.1", "integrity": "sha512-" + "A" * 86 + "=="}
    lock = {"name": "x", "lockfileVersion": 3, "packages": {"": package, "node_modules/is-odd": entry}}
    repo = {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock), ".npmrc": "fetch-retries=0\n"}
    job = world.build(world.repo("away", {**repo, "s.js": ""}))
    report = await world.ended(job, seconds=110)
    assert report["failure"] == {"code": "PACKAGE_REGISTRY_UNREACHABLE", "blame": "platform"}, world.deploy.log(job)


async def test_build_variables_reach_the_steps_and_tokens_stay_out_of_the_image(world: World) -> None:
    write = "require('fs').writeFileSync('seen.json',JSON.stringify([process.env.VITE_A,process.env.BASE_PATH]))"
    package = {"name": "x", "scripts": {"postinstall": "node gen.js", "build": f'node -e "{write}"', "start": "node s.js"}}
    repo = {
        "package.json": json.dumps(package),
        "gen.js": "require('fs').writeFileSync('gen.txt','1')",
        "s.js": "",
        ".npmrc": "//npm.example.org/:_authToken=npm_NOT-A-REAL-TOKEN\n",
        ".env": "A=1",
        ".env.production": "B=2",
    }
    job = world.build(world.repo("vars", repo), env={"VITE_A": "it's", "B": "no"}, buildEnv=["VITE_A"])
    report = await world.ended(job, seconds=110)
    assert report["status"] == "SUCCEEDED", world.deploy.log(job)
    assert "SECRET" not in report and "it's" not in world.deploy.log(job)
    world.podman.cli("pull", "-q", report["result"]["image"])
    shown = world.podman.cli("run", "--rm", "--network", "none", report["result"]["image"], "sh", "-c", "ls -A; cat seen.json")
    assert f'["it\'s","/runtime/{job}"]' in shown and "gen.txt" in shown and ".env.production" in shown
    assert not {".npmrc", ".env", ".funai-vars", ".funai-address"} & set(shown.split())
    assert world.agent.deploys[-1]["env"]["BASE_PATH"] == f"/runtime/{job}"


@only_in_full  # the choice itself is in tests/pure/dockerfile/node
async def test_a_node_that_cannot_be_had_gives_way_to_another_with_a_warning(make_world: MakeWorld) -> None:
    world: World = await make_world(pull="never")
    package = {"name": "x", "engines": {"node": ">=22"}, "scripts": {"start": "node s.js"}}
    job = world.build(world.repo("newer", {"package.json": json.dumps(package), "s.js": ""}))
    report = await world.ended(job, seconds=110)
    assert report["status"] == "SUCCEEDED", world.deploy.log(job)
    assert "asks for Node >=22; the standard image has Node 20" in world.deploy.log(job)


COUNTING = """
const fs = require('fs'), kept = 'node_modules/.cache/n';
const before = fs.existsSync(kept) ? Number(fs.readFileSync(kept, 'utf8')) : 0;
fs.writeFileSync(kept, String(before + 1));
console.log(`[builds before: ${before}]`);
"""


@only_in_full  # six builds; whose cache it is, test_repositories.py says in every run
async def test_a_build_cache_is_the_apps_own_stays_out_of_its_image_and_goes_with_no_cache(world: World) -> None:
    package = {"name": "x", "scripts": {"build": "node b.js", "start": "node s.js"}}
    repo = {"package.json": json.dumps(package), "b.js": COUNTING, "s.js": ""}

    async def built(bare: Path, **payload: Any) -> tuple[str, str]:
        job = world.build(bare, **payload)
        report = await world.ended(job, seconds=110)
        assert report["status"] == "SUCCEEDED", world.deploy.log(job)
        return world.deploy.log(job), report["result"]["image"]

    mine, other = world.repo("mine", repo), world.repo("other", repo)
    assert "[builds before: 0]" in (await built(mine, appId=71))[0]
    world.push(mine, {"s.js": "// changed"})
    log, image = await built(mine, appId=71)
    assert "[builds before: 1]" in log
    assert "[builds before: 0]" in (await built(other, appId=72))[0]
    log, _ = await built(mine, appId=71, noCache=True)
    assert "[builds before: 0]" in log
    world.podman.cli("pull", "-q", image)
    shown = world.podman.cli("run", "--rm", "--network", "none", image, "sh", "-c", "ls -A node_modules /var/cache")
    assert ".cache" not in shown and "funai" not in shown
