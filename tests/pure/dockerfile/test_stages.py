"""What is built on what: stages, images, variables, and what the last stage needs."""

from __future__ import annotations

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.stages import read_plan
from tests.pure.dockerfile.kit import OWN, plan

NODE = "FROM node:20-bookworm-slim"


def images(text: str, **args: str) -> list[str]:
    return plan(text, args).images


def test_images_of_a_plain_build() -> None:
    assert images(f"{NODE} AS build\nFROM scratch\nCOPY --from=build /a /a\nCOPY --from=0 /a /a\n") == ["node:20-bookworm-slim"]
    assert images("FROM busybox AS busybox\nRUN true\n") == ["busybox"]
    assert images("FROM a:1 AS x\nFROM b:1\nCOPY --from=X / /\nRUN --mount=from=nginx:1,target=/m true") == [
        "a:1",
        "b:1",
        "nginx:1",
    ]


def test_variables_before_the_first_from_count_in_from() -> None:
    text = "ARG V=20\nARG W=$V-slim\nFROM node:${W}\nARG V=9\nFROM x:$V\nCOPY --from=0 / /"
    assert images(text) == ["node:20-slim", "x:20"]
    assert images(text, V="22") == ["node:22-slim", "x:22"]
    assert images("FROM app-${NO:-a}:1") == ["app-a:1"]


def test_a_stage_is_found_by_its_name_in_any_case_and_by_a_variable() -> None:
    text = "ARG F=a\nFROM n:1 AS App-A\nFROM nosuch.example/x AS app-b\nFROM app-${F}\nARG F\nCOPY --from=App-$F /a /b\n"
    found = plan(text)
    assert found.images == ["n:1"] and [s.index for s in found.needed] == [0, 2]
    assert found.stages[2].base.stage == 0
    assert plan(text, {"F": "b"}).images == ["nosuch.example/x"]


def test_the_platforms_arguments_are_there_without_being_declared() -> None:
    text = f"{NODE} AS base-amd64\nFROM x AS base-arm64\nFROM base-${{TARGETARCH}}\nARG TARGETARCH TARGETVARIANT\n"
    found = plan(text)
    assert found.images == ["node:20-bookworm-slim"] and found.stages[2].args == {"TARGETARCH": "amd64", "TARGETVARIANT": ""}


def test_a_later_stage_is_none_yet() -> None:
    assert images(f"{NODE}\nCOPY --from=later / /x\nFROM a:1 AS later\nFROM 0") == ["0"]
    assert images("FROM x:1 AS a\nCOPY --from=b:1 / /\nFROM y:1 AS a\nFROM a") == ["y:1"]


def test_env_wins_over_arg_and_a_stage_inherits_both() -> None:
    text = "FROM n:1 AS a\nARG X=arg\nENV Y=y X=env\nENV OLD some words\nFROM a\nCOPY --from=$X:$Y / /\n"
    found = plan(text)
    assert found.images == ["n:1", "env:y"] and found.stages[0].env["OLD"] == "some words"
    base = read_plan("FROM n:1\nCOPY --from=$FROM_BASE / /", base_env={"n:1": {"FROM_BASE": "o:1"}})
    assert base.images == ["n:1", "o:1"]


def test_exposed_ports_are_those_of_the_last_stage_and_what_it_stands_on() -> None:
    text = "FROM a AS b\nEXPOSE 81\nFROM c\nEXPOSE 9\nFROM b\nARG P=80\nEXPOSE $P/tcp 443 53/udp 100-200\n"
    assert plan(text).exposed_ports == [80, 443, 81]


def test_what_a_build_asks_of_the_engine() -> None:
    assert plan('FROM a\nSHELL ["bash"]').dockers_only and not plan("FROM a AS x\nHEALTHCHECK NONE\nFROM b").dockers_only
    assert not plan("FROM a\nRUN shell\nCMD healthcheck").dockers_only
    assert plan("ARG Z\nFROM a\nARG A B=1\nARG C='a b'\nRUN echo ARG E").declared_args == {"A", "B", "C"}
    assert plan("FROM a\nRUN --mount=target=/a true").mounts_files
    assert not plan("FROM a\nRUN --mount=type=cache,target=/a npm ci --mount=type=bind").mounts_files


@pytest.mark.parametrize("text", ["", "# nothing\n", "ARG A\n", "RUN x\nFROM a\n"])
def test_a_file_without_a_stage_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="FROM"):
        plan(text)


def test_the_apps_own_image_is_one_like_any_other() -> None:
    assert images(f"FROM {OWN}:latest") == [f"{OWN}:latest"]
