"""``funai doctor fleet``: what it sees of the services, and the app that it sends through them."""

from __future__ import annotations

import pytest

from funai.cli.verbs.operator.fleet import reachable
from tests.service.api.platform import PASSWORD
from tests.service.cli.world import World


@pytest.fixture
def root(world: World) -> World:
    world.now(world.platform.admin("root"))
    world.ok("login", "-u", "root", "--password-stdin", input=f"{PASSWORD}\n")
    return world


def test_doctor_fleet_without_a_runner_fails_and_says_where_to_look(root: World) -> None:
    said = root.funai("doctor", "fleet", "--json")
    checks = {c["name"]: c for c in said.document["checks"]}
    assert said.code == 1
    assert {name: c["level"] for name, c in checks.items()} == {
        "server": "ok",
        "deploy": "ok",
        "nodes": "ok",
        "runners": "fail",
    }
    assert checks["deploy"]["detail"] == "http://deploy.test: fun-ai-studio-deploy"
    assert "n1 HEALTHY 90%" in checks["nodes"]["detail"]
    assert "DEPLOY_BASE_URL" in checks["runners"]["mend"]


def test_doctor_fleet_with_an_image_deploys_rolls_back_and_deletes_and_sees_a_gateway_that_serves_nothing(root: World) -> None:
    async def runner() -> None:
        for _ in range(2):
            await root.run_job(phases=("DEPLOY",))

    root.now(root.platform.heartbeat(gateway=root.url))  # answers, and knows no /runtime/ path
    claim = root.platform.inside.post("/deploy/jobs/claim", json={"runnerId": "r1"})
    assert root.now(claim).status_code == 200
    working = root.later(runner())
    said = root.funai("doctor", "fleet", "--image", "registry.test:5000/platform/hello:1", "--json")
    working.result(60)
    checks = {c["name"]: c for c in said.document["checks"]}
    assert list(checks) == ["server", "deploy", "nodes", "runners", "job by image", "rollback", "delete"]
    assert checks["job by image"]["detail"].endswith("HTTP 404"), "the job succeeded, and its address was asked"
    assert checks["rollback"]["detail"].endswith("HTTP 404")
    assert (checks["runners"]["level"], checks["delete"]["level"], said.code) == ("ok", "ok", 1)
    assert root.ok("apps", "list", "--json").document == []


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://7.apps.localhost:8000/x?y", ("http://127.0.0.1:8000/x?y", "7.apps.localhost:8000")),
        ("https://studio.example.com/runtime/7/", ("https://studio.example.com/runtime/7/", "studio.example.com")),
    ],
)
def test_address_below_localhost_is_asked_on_this_machine_whatever_its_resolver_knows(url: str, asked: tuple[str, str]) -> None:
    assert reachable(url) == asked


def test_doctor_fleet_of_somebody_who_is_no_admin_says_so(ann: World) -> None:
    said = ann.funai("doctor", "fleet", "--json")
    assert said.code == 1
    assert [c["level"] for c in said.document["checks"]] == ["ok", "fail"]
    assert ann.funai("doctor", "--image", "x").code == 2
