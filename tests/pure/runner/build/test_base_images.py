"""What a base image may bring along: names, environment, triggers."""

from __future__ import annotations

import json

import pytest

from funai.contracts.rules import parse_image
from funai.contracts.states import FailureCode
from funai.runner.build.base_images import BaseImage, judge, meanings, parse_config
from funai.runner.build.plan import allowed
from funai.runner.failures import JobFailed

REGISTRY = "127.0.0.1:5000"
MAY = allowed(parse_image(f"{REGISTRY}/funai/u2-app2:latest"), REGISTRY, {"NPM_REGISTRY": "https://npm.example.com/"})
THEIRS = f"{REGISTRY}/funai/u1-app1:latest"


def image(*names: str, env: tuple[tuple[str, str], ...] = (), triggers: tuple[str, ...] = ()) -> BaseImage:
    return BaseImage("ab" * 32, names, env, triggers)


def refused(name: str, found: BaseImage, dockerfile: str = "FROM x\n") -> str:
    with pytest.raises(JobFailed) as caught:
        judge(name, found, dockerfile, MAY)
    assert caught.value.code is FailureCode.CONTRACT_INVALID
    return caught.value.error_message()


def test_a_name_that_the_engine_resolves_to_another_apps_image() -> None:
    assert "mine" in refused("mine", image(THEIRS, f"{REGISTRY}/funai/u1-app1@sha256:{'0' * 64}"))
    refused("abab", image())
    judge("node:20", image("docker.io/library/node:20", f"{REGISTRY}/library/node:20"), "FROM node:20", MAY)
    judge("u2-app2", image(f"{REGISTRY}/funai/u2-app2:latest", THEIRS), "FROM x", MAY)
    judge(f"node@sha256:{'0' * 64}", image(), "FROM x", MAY)


@pytest.mark.parametrize(
    "trigger",
    [
        "ADD http://127.0.0.1:7002/x /x", "ADD $U/x /x", f"COPY --from={THEIRS} / /x", "RUN --network=host true",
        "ADD git@example.com:a/b /x", "ADD $NPM_REGISTRY /x", "ADD $http_proxy /x",
    ],
)  # fmt: skip
def test_triggers_are_held_to_the_same_rules(trigger: str) -> None:
    assert "ONBUILD" in refused("x", image("docker.io/library/x", env=(("U", "http://127.0.0.1"),), triggers=(trigger,)))


def test_the_images_environment_counts_in_the_dockerfile() -> None:
    base = image("docker.io/library/x", env=(("U", "http://127.0.0.1/x"), ("PATH", "/bin")))
    refused("x", base, "FROM x\nADD $U /x\n")
    judge("x", base, "FROM x\nADD a $PATH /x\n", MAY)


def test_honest_triggers_pass() -> None:
    judge("x", image("docker.io/library/x", triggers=("COPY . /app", "ARG NPM_REGISTRY", "RUN npm ci")), "FROM x", MAY)


def test_a_configuration_is_read_in_whatever_case_and_place() -> None:
    config = {"config": {"Env": ["A=1", "B=x=y"], "onBuild": ["RUN a"]}, "Config": {"ONBUILD": ["RUN b"]}, "OnBuild": None}
    env, triggers, docker = parse_config(json.loads(json.dumps(config)))
    assert docker
    assert dict(env) == {"A": "1", "B": "x=y"} and set(triggers) == {"RUN a", "RUN b"}
    assert parse_config({"Env": None, "history": [{"created_by": "ONBUILD x"}], "Shell": None}) == ((), (), False)
    assert parse_config({"config": {"Healthcheck": {"Test": ["CMD", "true"]}}})[2]


def test_the_full_names_that_a_reference_can_mean() -> None:
    assert meanings("node") == {"docker.io/library/node:latest", "localhost/node:latest"}
    assert meanings("a/node:20", ["r.corp:5000"]) == {f"{r}/a/node:20" for r in ("r.corp:5000", "docker.io", "localhost")}
    for same in ("docker.io/node:20", "index.docker.io/node:20", "docker.io/library/node:20"):
        assert meanings(same, ["r.corp"]) == {"docker.io/library/node:20"}
    assert meanings("r.corp:5000/node") == {"r.corp:5000/node:latest"} and meanings("localhost/a") == {"localhost/a:latest"}
    assert meanings("r.corp/a:1@sha256:0") == {"r.corp/a@sha256:0"}
