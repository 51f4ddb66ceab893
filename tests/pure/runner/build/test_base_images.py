"""What a base image may bring along: names, environment, triggers."""

from __future__ import annotations

import json

import pytest

from funai.contracts.reasons import FailureCode
from funai.dockerfile.images import Allowed
from funai.runner.build.base_images import BaseImage, judge, meanings, parse_config
from funai.runner.failures import JobFailed

REGISTRY = "127.0.0.1:5000"
MAY = Allowed((REGISTRY,), f"{REGISTRY}/funai/u2-app2")
THEIRS = f"{REGISTRY}/funai/u1-app1:latest"


def image(*names: str, env: tuple[tuple[str, str], ...] = ()) -> BaseImage:
    return BaseImage("ab" * 32, names, env, ())


def test_a_name_that_the_engine_resolves_to_another_apps_image() -> None:
    with pytest.raises(JobFailed) as caught:
        judge("mine", image(THEIRS, f"{REGISTRY}/funai/u1-app1@sha256:{'0' * 64}"), MAY)
    assert caught.value.code is FailureCode.CONTRACT_INVALID and "mine" in caught.value.error_message()
    judge("node:20", image("docker.io/library/node:20", f"{REGISTRY}/library/node:20"), MAY)
    judge("u2-app2", image(f"{REGISTRY}/funai/u2-app2:latest", THEIRS), MAY)
    judge(f"node@sha256:{'0' * 64}", image(), MAY)


def test_a_configuration_is_read_in_whatever_case_and_place() -> None:
    config = {"config": {"Env": ["A=1", "B=x=y"], "onBuild": ["RUN a"]}, "Config": {"ONBUILD": ["RUN b"]}, "OnBuild": None}
    env, triggers, shell, docker = parse_config(json.loads(json.dumps(config)))
    assert docker and shell == ()
    assert dict(env) == {"A": "1", "B": "x=y"} and set(triggers) == {"RUN a", "RUN b"}
    assert parse_config({"Env": None, "history": [{"created_by": "ONBUILD x"}], "Shell": None}) == ((), (), (), False)
    assert parse_config({"config": {"Healthcheck": {"Test": ["CMD", "true"]}}})[3]
    assert parse_config({"config": {"Shell": ["/bin/bash", "-c"]}}) == ((), (), ("/bin/bash", "-c"), True)


def test_the_full_names_that_a_reference_can_mean() -> None:
    assert meanings("node") == {"docker.io/library/node:latest", "localhost/node:latest"}
    assert meanings("a/node:20", ["r.corp:5000"]) == {f"{r}/a/node:20" for r in ("r.corp:5000", "docker.io", "localhost")}
    for same in ("docker.io/node:20", "index.docker.io/node:20", "docker.io/library/node:20"):
        assert meanings(same, ["r.corp"]) == {"docker.io/library/node:20"}
    assert meanings("r.corp:5000/node") == {"r.corp:5000/node:latest"} and meanings("localhost/a") == {"localhost/a:latest"}
    digest = f"sha256:{'0' * 64}"
    assert meanings(f"r.corp/a:1@{digest}") == {f"r.corp/a@{digest}"}
