from __future__ import annotations

import time

import pytest

from tests.parts.waiting import eventually
from tests.service.cli.world import Said, World


@pytest.fixture
def shop(ann: World) -> int:
    return ann.create_app("shop")


def finished(world: World, *words: object, **script: object) -> Said:
    """A deploy with a runner at work."""
    done = world.later(world.run_job(**script))  # type: ignore[arg-type]
    said = world.funai("deploy", *words)
    done.result(60)
    return said


def test_plain_lines_end_with_the_address(ann: World, shop: int) -> None:
    said = finished(ann, shop)
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0].startswith("job ")
    assert [line for line in lines if line.startswith("✓ queued")]
    assert lines[-2].startswith("deployed in ")
    assert lines[-1] == f"http://gw/runtime/{shop}/"


def test_json_is_one_document(ann: World, shop: int) -> None:
    said = finished(ann, shop, "--json")
    assert said.document["status"] == "SUCCEEDED"
    assert said.document["deployUrl"] == f"http://gw/runtime/{shop}/"


def test_follow_shows_the_log(ann: World, shop: int) -> None:
    said = finished(ann, shop, "--follow", log="step 1\nstep 2\r\nlast words")
    assert said.code == 0, said
    assert [line for line in said.out.splitlines() if "step" in line or "words" in line] == ["step 1", "step 2", "last words"]


def test_follow_in_json_is_a_stream(ann: World, shop: int) -> None:
    said = finished(ann, shop, "--follow", "--json", log="step 1\n")
    events = said.lines
    assert events[0]["event"] == "job"
    assert {"event": "log", "line": "step 1"} in events
    assert events[-1]["event"] == "end"
    assert events[-1]["job"]["status"] == "SUCCEEDED"


def test_a_failed_build_is_the_users_and_says_what_next(ann: World, shop: int) -> None:
    failure = {"failure": {"code": "BUILD_FAILED", "blame": "user"}, "errorMessage": "npm run build: exit 2"}
    said = finished(ann, shop, status="FAILED", phases=("CLONE", "BUILD"), **failure)
    assert said.code == 1
    assert "✗ build" in said.out
    assert said.err == (
        f"error: the deploy failed (BUILD_FAILED): npm run build: exit 2\nnext: read the build log: funai logs {shop}\n"
    )
    assert "BUILD_FAILED" in ann.ok("jobs", shop).out
    assert "npm run build" in ann.ok("status", shop).err


def test_the_platforms_failure_has_its_own_exit_status(ann: World, shop: int) -> None:
    failure = {"failure": {"code": "REGISTRY_UNREACHABLE", "blame": "platform"}, "errorMessage": "no registry"}
    said = finished(ann, shop, "--json", status="FAILED", **failure)
    assert said.code == 6
    assert said.document["status"] == "FAILED"
    assert said.error["reason"] == "REGISTRY_UNREACHABLE"


def test_a_failed_redeploy_shows_what_serves(ann: World, shop: int) -> None:
    finished(ann, shop)
    assert finished(ann, shop, status="FAILED", errorMessage="boom", failure={"code": "BUILD_FAILED", "blame": "user"}).code
    shown = ann.ok("status", shop).out
    assert "READY; the latest deploy failed" in shown and "release 1 since" in shown
    for words in (("status", shop), ("apps", "list"), ("apps", "info", shop), ("open", shop)):
        assert f"http://gw/runtime/{shop}/" in ann.ok(*words).out, words


def test_detach_comes_back_and_a_second_deploy_is_refused(ann: World, shop: int) -> None:
    said = ann.ok("deploy", shop, "--detach")
    assert "funai cancel" in said.out
    again = ann.funai("deploy", "shop", "--json")
    assert (again.code, again.error["reason"]) == (4, "APP_DEPLOYING")
    assert again.error["hint"] == f"watch it with: funai status {shop}, or stop it with: funai cancel --app {shop}"
    assert "queued" in ann.ok("status", shop).out
    assert ann.ok("cancel", "--app", shop, "--json").document["status"] == "CANCELLED"
    nothing = ann.funai("cancel", "--app", shop)
    assert nothing.code == 5
    assert "no job under way" in nothing.err


def test_a_job_that_is_cancelled_while_watched(ann: World, shop: int) -> None:
    async def cancel() -> None:
        person = await ann.platform.sign_in(ann.user)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            jobs = await person.call("GET", "/deploy/job/list")
            if jobs:
                await person.call("POST", "/deploy/job/cancel", params={"jobId": jobs[0]["id"]})
                return

    done = ann.later(cancel())
    said = ann.funai("deploy", shop)
    done.result(60)
    assert said.code == 7, said
    assert "is cancelled" in said.out


def test_a_platform_that_is_briefly_away_is_waited_for(ann: World, shop: int) -> None:
    wire = ann.platform.wire

    async def away_for_a_while() -> None:
        job = await ann.platform.claim()
        wire.cut, seen = 10_000, len(ann.answers)
        await eventually(lambda: any(status >= 500 for _, status in ann.answers[seen:]), seconds=20, what="a look to fail")
        wire.cut = 0
        await ann.platform.report(job)

    done = ann.later(away_for_a_while())
    said = ann.funai("deploy", shop)
    done.result(60)
    assert said.code == 0, said
    assert "connection lost, trying again" in said.err


def test_the_running_quota(ann: World) -> None:
    for name in ("a", "b", "c", "d"):
        ann.create_app(name)
    for name in ("a", "b", "c"):
        ann.ok("deploy", name, "--detach")
    said = ann.funai("deploy", "d", "--json")
    assert (said.code, said.error["reason"]) == (4, "QUOTA_RUNNING_APPS")
    assert "funai stop APP" in said.error["hint"]


@pytest.mark.parametrize("words", [("--ref", "--upload-pack=x"), ("--dockerfile", "../../etc/passwd"), ("--tag", "no tag")])
def test_bad_input_is_refused_before_anything_happens(ann: World, shop: int, words: tuple[str, str]) -> None:
    said = ann.funai("deploy", shop, words[0] + "=" + words[1], "--json")
    assert said.code == 2
    assert ann.ok("jobs", shop).out == "no jobs yet: funai deploy\n"


def test_an_image_of_elsewhere_is_refused(ann: World, shop: int) -> None:
    said = ann.funai("deploy", shop, "--image", "docker.io/library/nginx:1", "--port", "80", "--json")
    assert (said.code, said.error["reason"]) == (4, "IMAGE_FORBIDDEN")


def test_the_same_idempotency_key_starts_one_job(ann: World, shop: int) -> None:
    first = ann.ok("deploy", shop, "--detach", "--idempotency-key", "k1", "--json").document
    second = ann.ok("deploy", shop, "--detach", "--idempotency-key", "k1", "--json").document
    assert first["id"] == second["id"]


def test_build_logs_stay_readable(ann: World, shop: int) -> None:
    nothing = ann.funai("logs", shop)
    assert nothing.code == 5
    finished(ann, shop, log="first\nsecond\n")
    assert ann.ok("logs", shop).out == "first\nsecond\n"
    assert ann.ok("logs", shop, "--follow").out == "first\nsecond\n"
    assert ann.ok("logs", shop, "--json").lines == [{"line": "first"}, {"line": "second"}]
    assert ann.funai("logs", "--job", 9999).code == 5


def test_a_log_of_more_than_one_slice_is_whole(ann: World, shop: int) -> None:
    async def talk() -> None:
        job = await ann.platform.claim()
        offset = 0
        for n in range(5):
            chunk = f"{n}\n" + "x" * 200_000 + "\n"
            await ann._post(f"/deploy/jobs/{job['id']}/logs", {"runnerId": "r1", "offset": offset, "chunk": chunk})
            offset += len(chunk)
        await ann.platform.report(job)

    ann.ok("deploy", shop, "--detach")
    ann.now(talk())
    assert [line for line in ann.ok("logs", shop).out.splitlines() if len(line) == 1] == ["0", "1", "2", "3", "4"]


def test_a_life_after_the_deploy(ann: World, shop: int) -> None:
    assert ann.ok("releases", shop).out == "no successful deploys yet: funai deploy\n"
    finished(ann, shop)
    finished(ann, shop)
    numbers = [r["number"] for r in ann.ok("releases", shop, "--json").document]
    assert numbers == [2, 1]
    assert ann.ok("status", "--json").document[0]["id"] == shop
    assert ann.ok("open", shop).out == f"http://gw/runtime/{shop}/\n"
    assert "hello from the container, tail 5" in ann.ok("logs", shop, "--runtime", "--tail", 5).out
    assert "4.5 %" in ann.ok("usage", shop).out
    assert ann.ok("usage", shop, "--window", "week", "--json").document["window"] == "week"
    assert ann.ok("stop", shop, "--json").document["appStatus"] == 1
    assert ann.funai("open", shop).code == 4
    assert ann.ok("start", shop, "--json").document["appStatus"] == 3
    done = ann.later(ann.run_job())
    said = ann.ok("rollback", shop, "--release", 1)
    assert done.result(60)["payload"]["rollbackOf"] == 1
    assert said.out.splitlines()[-1] == f"http://gw/runtime/{shop}/"
    gone = ann.funai("rollback", shop, "--release", 99, "--json")
    assert (gone.code, gone.error["reason"]) == (5, "RELEASE_NOT_FOUND")


def test_an_operator_sees_nodes_and_others_don_t(ann: World) -> None:
    assert ann.funai("nodes", "list").code == 4
    ann.now(ann.platform.admin("root"))
    ann.ok("login", "-u", "root", "--password-stdin", input="correct horse\n")
    [node] = ann.ok("nodes", "list", "--json").document
    assert node["name"] == "n1"
    assert "HEALTHY" in ann.ok("nodes", "list").out
    assert ann.ok("nodes", "disable", "n1", FUNAI_LANG="zh").out.startswith("节点 n1 已停用")
    assert "DRAINING" in ann.ok("nodes", "list").out
    assert ann.ok("nodes", "enable", "n1").out == "node n1 is enabled and takes new apps\n"
    assert isinstance(ann.ok("nodes", "placements", node["id"], "--json").document, list)
    ann.ok("nodes", "runners")


def test_status_says_that_an_app_keeps_ending_and_where_to_look(ann: World, shop: int) -> None:
    finished(ann, shop)
    assert "crash" not in ann.ok("status", shop).out
    assert ann.ok("status", shop, "--json").document["runtime"]["running"] is True
    ann.platform.node.looping.add(str(shop))
    try:
        said = ann.ok("status", shop)
        assert "crash looping, last exit status 3, " in said.out
        assert f"funai logs {shop} --runtime" in said.out
        assert "反复退出，最近一次退出码 3" in ann.ok("status", shop, FUNAI_LANG="zh").out
        assert ann.ok("status", shop, "--json").document["runtime"]["lastExitCode"] == 3
        ann.now(ann.platform.heartbeat())
        assert "READY, crash looping" in ann.ok("status").out
        assert ann.ok("status", "--json").document[0]["crashLooping"] is True
    finally:
        ann.platform.node.looping.clear()
        ann.now(ann.platform.heartbeat())


def test_a_drain_is_told_in_sentences_and_a_table(ann: World, shop: int) -> None:
    finished(ann, shop)
    ann.now(ann.platform.admin("rita"))
    ann.ok("login", "-u", "rita", "--password-stdin", input="correct horse\n")
    [node] = ann.ok("nodes", "list", "--json").document
    said = ann.ok("nodes", "drain", node["id"], "--limit", 1000).out.splitlines()
    assert said[0].startswith(f"node {node['id']}: 0 apps belong elsewhere now (their next deploy goes there), ")
    assert said[1].split() == ["APP", "TO", "NODE", "WHY", "IT", "STAYS"]
    assert [str(shop), "-", "NO_RUNTIME_NODE"] in [line.split() for line in said[2:]]
    assert ann.ok("nodes", "drain", node["id"], FUNAI_LANG="zh").out.startswith(f"节点 {node['id']}：改派了 0 个应用")
    assert ann.ok("nodes", "placements", 99).out == "no app is placed on node 99\n"
