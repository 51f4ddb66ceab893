"""Every way a job fails: the code, whose fault, the message, and nothing left behind."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.e2e.runner.world import MakeWorld, World
from tests.parts.registry import Registry
from tests.parts.sshd import new_key

DOCKERFILE = "FROM node:20-bookworm-slim\n"


def failed(report: dict[str, Any], code: str, blame: str, *words: str) -> None:
    assert report["status"] == "FAILED", report
    assert report["failure"] == {"code": code, "blame": blame}, report
    for word in words:
        assert word in report["errorMessage"], report


async def test_source_that_cannot_be_had(world: World) -> None:
    full = world.repo("full", {"Dockerfile": DOCKERFILE})
    empty = world.root / "empty.git"
    world.git("init", "-q", "--bare", str(empty), cwd=world.root)
    jobs = {
        "ref": world.build(full, gitRef="nope"),
        "commit": world.build(full, gitRef="0123456789abcdef0123456789abcdef01234567"),
        "empty": world.build(empty),
        "missing": world.build(world.root / "no-such.git"),
        "away": world.job(repoSshUrl="ssh://git@127.0.0.1:9/x/y.git"),
        "option": world.build(full, gitRef="--upload-pack=x"),
        "path": world.build(full, dockerfilePath="../../etc/passwd"),
    }
    ended = {name: await world.ended(job) for name, job in jobs.items()}
    failed(ended["ref"], "GIT_REF_NOT_FOUND", "user", "nope")
    failed(ended["commit"], "GIT_REF_NOT_FOUND", "user")
    failed(ended["empty"], "GIT_EMPTY", "user", "git push")
    failed(ended["missing"], "GIT_AUTH", "platform")
    failed(ended["away"], "GIT_UNREACHABLE", "platform", "127.0.0.1:9")
    failed(ended["option"], "CONTRACT_INVALID", "user", "gitRef")
    failed(ended["path"], "CONTRACT_INVALID", "user", "dockerfilePath")
    assert world.leftovers() == []


async def test_errors_and_logs_mask_secrets_and_leave_ordinary_values(world: World) -> None:
    echo = "building hello-node for production on localhost with console.log true; see https://docs.example.com/production"
    bare = world.repo("app", {"Dockerfile": f"{DOCKERFILE}RUN echo '{echo}'\n"})
    url = "postgres://u:pa55word-long@db.example/x"
    ordinary = {"NODE_ENV": "production", "APP": "hello-node", "DB_HOST": "localhost", "LOG": "console.log"}
    detail = {"code": "APP_EXITED", "message": f"exit 1 with {url}", "logTail": [f"connecting to {url}", "x" * 490 + url]}
    world.agent.refuse = (422, detail)
    job = world.build(bare, env={**ordinary, "DATABASE_URL": url})
    report = await world.ended(job)
    failed(report, "APP_EXITED", "user", "connecting to postgres://u:**********@db.example/x")
    shown = report["errorMessage"] + world.deploy.log(job)
    assert echo in shown and "pa55" not in shown


async def test_a_changed_host_key_is_refused_with_the_mend(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": DOCKERFILE})
    world.sshd.change_host_key()
    report = await world.ended(world.build(bare))
    failed(report, "GIT_HOST_KEY", "platform", "known_hosts", f"ssh-keyscan -p {world.sshd.port}")
    assert not any((world.settings.workdir / "mirrors").glob("*/refs/heads/*"))


async def test_a_key_that_may_not_enter(make_world: MakeWorld, tmp_path: Any) -> None:
    new_key(tmp_path / "other")
    world = await make_world(ssh_key_path=tmp_path / "other")
    failed(await world.ended(world.build(world.repo("app", {"Dockerfile": DOCKERFILE}))), "GIT_AUTH", "platform")


async def test_what_a_repository_may_not_have(world: World) -> None:
    sub = world.repo("sub", {"x": "x"})
    with_sub = world.repo("withsub", {"Dockerfile": DOCKERFILE})
    work = world.root / "withsub-work"
    world.git("submodule", "add", "-q", str(sub), "lib", cwd=work)
    world.push(with_sub, {})
    lfs = {
        "Dockerfile": DOCKERFILE,
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        "a.bin": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n",
    }
    links = world.repo("links", {"x": "x"})
    (world.root / "links-work" / "Dockerfile").symlink_to("/etc/passwd")
    (world.root / "links-work" / "out").symlink_to("/etc")
    world.push(links, {})
    jobs = {
        "submodule": world.build(with_sub),
        "lfs": world.build(world.repo("lfs", lfs)),
        "none": world.build(world.repo("none", {"README": "x"})),
        "link": world.build(links),
        "context": world.build(links, buildContext="out"),
        "appyaml": world.build(world.repo("yaml", {"Dockerfile": DOCKERFILE, "deploy/app.yaml": "port: many\n"})),
        "nostart": world.build(world.repo("nostart", {"package.json": "{}"})),
    }
    ended = {name: await world.ended(job) for name, job in jobs.items()}
    failed(ended["submodule"], "GIT_UNSUPPORTED", "user", "lib")
    failed(ended["lfs"], "GIT_UNSUPPORTED", "user", "a.bin")
    failed(ended["none"], "DOCKERFILE_MISSING", "user", "funai init")
    failed(ended["link"], "CONTRACT_INVALID", "user", "dockerfilePath")
    failed(ended["context"], "CONTRACT_INVALID", "user", "buildContext")
    failed(ended["appyaml"], "CONTRACT_INVALID", "user", "deploy/app.yaml", "port")
    failed(ended["nostart"], "CONTRACT_INVALID", "user", "start")
    assert world.leftovers() == []


async def test_builds_that_fail(world: World) -> None:
    step = world.repo("step", {"Dockerfile": DOCKERFILE + "RUN echo the-reason >&2; exit 7\n"})
    base = world.repo("base", {"Dockerfile": f"FROM {world.registry.address}/t/u1-app4242:none\n"})
    foreign = world.repo("foreign", {"Dockerfile": f"FROM {world.registry.address}/no/such:1\n"})
    away = world.repo("away", {"Dockerfile": "FROM 127.0.0.1:9/no/such:1\n"})
    typo = world.repo("typo", {"Dockerfile": "FROM 127.0.0.1:9/Node:20\n"})
    jobs = [world.build(step), world.build(base, appId=4242), world.build(away), world.build(foreign), world.build(typo)]
    ended = [await world.ended(job) for job in jobs]
    failed(ended[0], "BUILD_FAILED", "user", "the-reason", "7")
    failed(ended[1], "IMAGE_NOT_FOUND", "user", "u1-app4242:none")
    failed(ended[2], "REGISTRY_UNREACHABLE", "platform", "127.0.0.1:9")
    failed(ended[3], "CONTRACT_INVALID", "user", "no/such:1")
    failed(ended[4], "CONTRACT_INVALID", "user", "Node:20", "lower case")
    assert world.leftovers() == []


async def test_an_npm_that_gave_up_with_status_0_is_no_green_build_and_leaves_no_layer(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": DOCKERFILE + "RUN echo 'npm error Exit handler never called!' >&2\n"})
    for _ in range(2):
        report = await world.ended(world.build(bare, appId=77))
        failed(report, "PACKAGE_REGISTRY_UNREACHABLE", "platform", "gave up without installing")
    assert world.leftovers() == []


async def test_a_registry_that_is_away_or_refuses(make_world: MakeWorld, private_registry: Registry) -> None:
    world = await make_world(registry_username="robot", registry_password="wrong-password", registry=private_registry.address)
    world.podman.allow_insecure([world.registry.address, private_registry.address, "127.0.0.1:9"])
    bare = world.repo("app", {"Dockerfile": DOCKERFILE})
    refused, away = world.build(bare, acrRegistry=private_registry.address), world.build(bare, acrRegistry="127.0.0.1:9")
    failed(await world.ended(refused), "REGISTRY_AUTH", "platform", private_registry.address)
    failed(await world.ended(away), "REGISTRY_UNREACHABLE", "platform", "127.0.0.1:9")


async def test_the_agents_reason_reaches_the_report(world: World) -> None:
    world.agent.refuse = (422, {"code": "APP_EXITED", "message": "exited with 3", "exitCode": 3, "logTail": ["boom", "bang"]})
    report = await world.ended(world.job(image=f"{world.registry.address}/x/y:1"))
    failed(report, "APP_EXITED", "user", "exited with 3", "bang")
    world.agent.refuse = (409, {"code": "STALE_GENERATION", "message": "newer"})
    failed(await world.ended(world.job(image=f"{world.registry.address}/x/y:1")), "STALE_GENERATION", "platform")


@pytest.fixture(autouse=True)
def sshd_serves(sshd: Any) -> Any:
    yield
    assert shutil.which("git") and sshd.running
