"""Repositories made to hurt: each ends with a reason of its own, and the next job goes on."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from funai.contracts.rules import check_git_ref
from funai.runner.build.diskwatch import ENTRY_BYTES, tree_bytes
from funai.runner.cleanup.fs import remove_tree
from funai.runner.settings import MIB
from funai.runner.source.mirrors import Source
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full

NODE = "FROM node:20-bookworm-slim\n"


def plumbing(bare: Path, *words: str, text: str = "") -> str:
    """git's own building blocks: trees that no working copy could hold."""
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", f"--git-dir={bare}", *words]
    return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout.strip()


def commit_tree(bare: Path, tree: str, branch: str) -> None:
    plumbing(bare, "update-ref", f"refs/heads/{branch}", plumbing(bare, "commit-tree", "-m", "x", tree))


@only_in_full  # one pack over the limit is in every run
async def test_trees_that_no_disk_could_hold(world: World) -> None:
    bare = world.repo("trees", {"Dockerfile": NODE})
    blob = plumbing(bare, "rev-parse", "main:Dockerfile")
    bomb = deep = plumbing(bare, "mktree", text=f"100644 blob {blob}\tDockerfile\n")
    for _ in range(8):
        bomb = plumbing(bare, "mktree", text="".join(f"040000 tree {bomb}\td{n}\n" for n in range(10)))
    for _ in range(1500):
        deep = plumbing(bare, "mktree", text=f"040000 tree {deep}\ta\n")
    commit_tree(bare, bomb, "bomb")
    commit_tree(bare, deep, "deep")
    failed(await world.ended(world.build(bare, gitRef="bomb")), "GIT_UNSUPPORTED", "user", "300000")
    failed(await world.ended(world.build(bare, gitRef="deep")), "GIT_UNSUPPORTED", "user", "a/a/a")
    assert world.leftovers() == []


async def test_a_mirror_that_a_kill_or_a_disk_left_broken_mends_itself(world: World, tmp_path: Path) -> None:
    bare = world.repo("app", {"a": "0"})
    url, own = world.sshd.url(bare), tmp_path / "own"
    own.mkdir()
    source = Source(world.settings.model_copy(update={"workdir": own}))
    source.prepare()
    mirror = source.mirror_of(url)

    def lock() -> None:
        (mirror / "refs" / "heads").mkdir(exist_ok=True, parents=True)
        (mirror / "refs" / "heads" / "main.lock").touch()

    def half() -> None:
        (mirror / "HEAD").unlink()

    def lose() -> None:
        for file in [*mirror.glob("objects/??/*"), *mirror.glob("objects/pack/*")]:
            file.unlink()

    def kill() -> None:
        mirror.with_suffix(".new").mkdir()
        shutil.rmtree(mirror)

    await source.fetch(url, "main")
    for harm in (lock, half, lose, kill):
        harm()
        sha = world.push(bare, {"a": harm.__name__})
        commit = await source.fetch(url, "main")
        assert commit.sha == sha and await source.text(commit, "a", limit=99) == harm.__name__
    assert not [*own.rglob("*.lock"), *own.rglob("tmp_*"), *own.rglob("*.new")] and source.in_use(mirror)
    await source.pack(mirror)
    await source.close()


async def test_a_pack_over_the_limit_is_named_and_leaves_nothing(make_world: MakeWorld) -> None:
    world: World = await make_world(max_source_bytes=MIB)
    bare = world.repo("big", {"Dockerfile": NODE, "big": secrets.token_hex(2 * MIB)})
    failed(await world.ended(world.build(bare)), "GIT_UNSUPPORTED", "user", str(MIB))
    assert not [*(world.settings.workdir / "mirrors").rglob("tmp_*")]


async def test_links_that_lead_out_and_names_that_are_odd(world: World) -> None:
    bare = world.repo("links", {"Dockerfile": NODE + "COPY . /x/\nRUN cat /x/out /x/in || true\n", "in": "inside"})
    work = world.root / "links-work"
    (work / "out").symlink_to("/etc/hostname")
    (work / "deploy").mkdir()
    world.push(bare, {"-rf": "x", "näme\nwith $(odd) `things`": "x", "--help/a": "x"})
    odd = "we;ird'$(ref)&x"
    world.git("push", "-q", "origin", f"main:refs/heads/{odd}", cwd=work)
    ended = [await world.ended(world.build(bare, gitRef=ref)) for ref in ("main", odd)]
    assert ended[0]["status"] == "SUCCEEDED" and Path("/etc/hostname").read_text().strip() not in world.deploy.log(1)
    assert ended[1]["status"] == "SUCCEEDED" or ended[1]["failure"] == {"code": "CONTRACT_INVALID", "blame": "user"}
    (work / "deploy" / "app.yaml").symlink_to("/etc/passwd")
    world.push(bare, {})
    failed(await world.ended(world.build(bare)), "CONTRACT_INVALID", "user", "app.yaml")


@only_in_full  # whose layers a cache gives is in every run
async def test_a_mounted_file_is_not_mistaken_for_another_tenants(world: World) -> None:
    text = NODE + "RUN --mount=type=bind,source=p,target=/p cat /p && cp /p /got\n"
    one, two = (
        world.repo("one", {"Dockerfile": text, "p": "belongs-to-one"}),
        world.repo("two", {"Dockerfile": text, "p": "two's"}),
    )
    jobs = [world.build(one), world.build(two)]
    for job in jobs:
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
    assert "two's" in world.deploy.log(jobs[1]) and "belongs-to-one" not in world.deploy.log(jobs[1])


async def test_no_mount_shows_a_step_the_hosts_files(world: World, tmp_path: Path) -> None:
    """The engine itself would follow each of these: links of a stage and of the repository, caches with ``..``."""
    secret = tmp_path / "host"
    secret.mkdir()
    (secret / "seen").touch()
    up = "../" * 20
    texts = {
        "stage": f"{NODE[:-1]} AS a\nRUN ln -s {secret} /out\n{NODE}RUN --mount=from=a,source=/out,target=/x ls /x\n",
        "cache": NODE + f"RUN --mount=type=cache,id={up}{secret},target=/x ls /x\n",
        "later": NODE + f"RUN --mount=type=cache,target=/c ln -s {secret} /c/o\nRUN --mount=type=cache,target=/c/o ls /c/o\n",
        "repository": NODE + "RUN --mount=type=bind,source=out,target=/x ls /x\n",
    }
    jobs = list[int]()
    for name, text in texts.items():
        bare = world.repo(name, {"Dockerfile": text})
        (world.root / f"{name}-work" / "out").symlink_to(secret)
        world.push(bare, {})
        jobs.append(world.build(bare))
    honest = "RUN --mount=type=bind,source=p,target=/p --mount=type=cache,target=/root/.npm cat /p > /root/.npm/kept\n"
    honest += "RUN --mount=type=cache,target=/root/.npm echo got-$(cat /root/.npm/kept)\n"
    good = world.build(world.repo("honest", {"Dockerfile": NODE + honest, "p": "mine"}))
    for job in jobs:
        failed(await world.ended(job), "CONTRACT_INVALID", "user", "RUN")
        assert "seen" not in world.deploy.log(job)
    assert (await world.ended(good))["status"] == "SUCCEEDED" and "got-mine" in world.deploy.log(good)


async def test_a_cache_that_one_tenant_filled_does_not_reach_anothers_layers(world: World) -> None:
    step = "RUN --mount=type=cache,target=/root/.npm cat /root/.npm/planted > /got 2>/dev/null; echo got-$(cat /got)\n"
    plant = f"{NODE[:-1]} AS p\nRUN --mount=type=cache,target=/root/.npm echo evil > /root/.npm/planted\n"
    evil = world.build(world.repo("evil", {"Dockerfile": plant + NODE + step + "COPY --from=p /etc/hostname /h\n"}))
    assert (await world.ended(evil))["status"] == "SUCCEEDED" and "got-evil" in world.deploy.log(evil)
    for number, cached in ((1, False), (2, True)):
        bare = world.repo(f"good{number}", {"Dockerfile": NODE + step, "a": str(number)})
        good = world.build(bare, userId=7, appId=90)
        assert (await world.ended(good))["status"] == "SUCCEEDED"
        text = world.deploy.log(good)
        assert "evil" not in text and ("Using cache" in text) == cached, text


@only_in_full  # what a build writes is counted in every run: test_hostile.py
async def test_what_a_step_writes_into_its_context_counts(make_world: MakeWorld) -> None:
    world: World = await make_world(build_disk_bytes=256 * MIB)
    write = "for i in $(seq 99); do dd if=/dev/zero of=/c/f$i bs=1M count=16 2>/dev/null; done; sleep 20"
    text = NODE + f"RUN --mount=type=bind,rw,target=/c {write}\n"
    failed(await world.ended(world.build(world.repo("app", {"Dockerfile": text}))), "OUT_OF_DISK", "user", "MiB")
    assert world.leftovers() == []


async def test_folders_too_deep_to_name_are_counted_and_removed(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    script = "import os\nfor _ in range(1500):\n    os.mkdir('a' * 20)\n    os.chdir('a' * 20)"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], cwd=deep, check=True)
    assert tree_bytes(deep, 10**9) > 10**9
    await remove_tree(deep)
    assert not deep.exists()
    (tmp_path / "many").mkdir()
    for n in range(10):
        (tmp_path / "many" / str(n)).touch()
    assert tree_bytes(tmp_path / "many", 10**9) == 10 * ENTRY_BYTES


REFS = ("功能/支付", "feature/#12", "fix(ui)", "user's", "a=b", "x&y", "b" * 224, "$(id)")


async def test_a_shallow_repository_and_any_branch_name_are_fetched(world: World, tmp_path: Path) -> None:
    whole, bare = world.repo("whole", {"a": "1"}), world.repo("app", {"a": "0"})
    world.push(whole, {"a": "2"})
    own = tmp_path / "own"
    own.mkdir()
    plumbing(bare, "fetch", "-q", "--depth", "1", f"file://{whole}", "main")
    sha = plumbing(bare, "rev-parse", "FETCH_HEAD")
    for ref in REFS:
        plumbing(bare, "update-ref", f"refs/heads/{ref}", sha)
    source = Source(world.settings.model_copy(update={"workdir": own}))
    source.prepare()
    for ref in REFS:
        commit = await source.fetch(world.sshd.url(bare), check_git_ref(ref))
        assert await source.text(commit, "a", limit=9) == "2", ref
