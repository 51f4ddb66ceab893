"""A Dockerfile builds on public images, its own stages and its own app's images, on nobody else's."""

from __future__ import annotations

import contextlib
import time

import pytest

from funai.contracts.basecheck import (
    declared_args,
    fetched_urls,
    foreign_images,
    mounts_files,
    needs_docker,
    possible_images,
    refused_flags,
    wanted_images,
)
from funai.contracts.errors import BadInput

REGISTRY = "127.0.0.1:5000"
OWN = f"{REGISTRY}/funai/u2-app2"
THEIRS = f"{REGISTRY}/funai/u1-app1"


@pytest.mark.parametrize(
    "text",
    [
        f"FROM {THEIRS}",
        f"from --platform=linux/amd64 {THEIRS}:latest as a",
        f"FROM {THEIRS}@sha256:{'0' * 64}",
        f"FROM {OWN}0:latest",
        f"FROM docker://{THEIRS}",
        f"FROM \\\n# a comment\n  {THEIRS}",
        f"# escape=`\nFROM `\n{THEIRS}",
        "ARG A=127.0.0.1\nARG B=${A}:5000\nFROM $B/funai/u1-app1",
        f"ARG A={THEIRS}\nFROM node:20\nARG A=node:20\nFROM $A",
        f"FROM ${{NONE:-{THEIRS}}}",
        'FROM 127.0.0.1:50"00"/fun\\ai/u1-app1',
        f"FROM node:20\nCOPY --from={THEIRS} / /x",
        f"FROM node:20\nENV A={THEIRS}\nCOPY --from=$A / /x",
        f"FROM node:20\nRUN --mount=type=bind,from={THEIRS},target=/x ls /x",
        "FROM 186f1c97135e",
        "FROM node:20\nCOPY --from=7 / /x",
        "FROM containers-storage:abc",
        "FROM dir:/etc",
        "FROM ${A#b}",
        "FROM u1-app1",
        "FROM funai/u1-app1:latest",
        "FROM docker.io/funai/u1-app1",
        "FROM localhost:5000/funai/u1-app1",
        "FROM 127.0.0.1:50\\\n00/funai/u1-app1",
        f"\ufeffFROM {THEIRS}",
        f"FROM node:20\nENV A=`\nFROM {THEIRS}",
        f"FROM node:20\nENV A=1 \\\n  # x\nFROM {THEIRS}",
        f"FROM node:20\nCOPY --fr\\om={THEIRS} / /x",
        f'FROM node:20\nCOPY --fr"o"m={THEIRS} / /x',
        f"FROM node:20\nONBUILD COPY --from={THEIRS} / /x",
        f"FROM node:20\nCOPY <<EOF\\\\ /x\nEOF\\\nFROM {THEIRS}",
        "FROM node:20\nRUN echo \\\n  # x\\\nFROM scratch AS abc\nFROM abc",
    ],
)
def test_other_tenants_images_are_seen_through_every_disguise(text: str) -> None:
    assert foreign_images(text, REGISTRY, OWN)


@pytest.mark.parametrize(
    "text",
    [
        "FROM node:20-bookworm-slim AS build\nFROM scratch\nCOPY --from=build /a /a\nCOPY --from=0 /a /a",
        "ARG V=20\nFROM node:${V}-slim\nENV A=1 B=2",
        f"FROM {OWN}:latest",
        f"FROM {OWN}@sha256:{'0' * 64}",
        "FROM docker:24\nFROM mirror.example.com:443/library/node:20",
        "FROM nginx:1.27 AS Web\nFROM web\nRUN echo FROM=1",
        "FROM node:20\nRUN --mount=type=cache,target=/root/.npm npm ci",
    ],
)
def test_what_apps_really_build_on_is_allowed(text: str) -> None:
    assert foreign_images(text, REGISTRY, OWN) == []


@pytest.mark.parametrize(
    "line",
    [
        "ADD http://127.0.0.1:7002/x /x",
        'add ["https://example.com/x", "/x"]',
        "ADD --chmod=644 http://x/ /x",
        "ONBUILD ADD http://x/ /x",
        "ARG A=http\nADD ${A}:${B:-//x} /x",
        "ADD git@example.com:a/b.git /x",
        'ADD ["http\\u003a//127.0.0.1/x", "/x"]',
        'ADD ["http:\\/\\/127.0.0.1/x", "/x"]',
        "ENV A=`\nADD http://127.0.0.1/x /x",
        "ENV A=1 \\\n  # x\nADD http://127.0.0.1/x /x",
        "ADD htt${NOPE}p://127.0.0.1/x /x",
        "ADD \\\nhttp://127.0.0.1/x /x",
    ],
)
def test_no_address_is_fetched_by_the_engine(line: str) -> None:
    assert fetched_urls(f"FROM node:20\n{line}")


def test_add_of_files_and_downloads_in_a_step_stay() -> None:
    assert fetched_urls("FROM node:20\nADD a.tar.gz $HOME/x /y\nRUN curl -O https://example.com/x") == []


def test_values_that_come_from_elsewhere_count() -> None:
    text = "FROM node:20\nARG NPM_REGISTRY\nADD $NPM_REGISTRY $THEIRS /x\nCOPY --from=$THEIRS / /y"
    assert fetched_urls(text) == [] == foreign_images(text, REGISTRY, OWN)
    given = {"NPM_REGISTRY": ["https://npm.example.com/"], "THEIRS": [THEIRS]}
    assert fetched_urls(text, given) == ["$NPM_REGISTRY"]
    assert foreign_images(text, REGISTRY, OWN, given) == ["$THEIRS"]


def test_the_images_a_build_needs_and_those_some_engine_could_see() -> None:
    text = "ARG V=20\nFROM node:$V AS a\nFROM scratch\nCOPY --from=a / /\nCOPY --from=nginx:1 / /\n"
    text += "RUN cat <<EOF\nFROM users\nEOF\n"
    assert wanted_images(text) == ["node:20", "nginx:1", "users"]
    hidden = "FROM node:20\nENV A=`\nENV B=\\\nFROM nginx:1\n"
    assert wanted_images(hidden) == ["node:20"] and possible_images(hidden) == ["node:20", "nginx:1"]


def test_a_step_may_not_ask_for_more_than_a_sandbox() -> None:
    text = "RUN --network=host --mount=type=cache,target=/x a\nRUN --security=insecure b\nRUN --device=/dev/x c"
    assert refused_flags(text) == ["--network=host", "--security=insecure", "--device=/dev/x"]
    assert refused_flags("RUN --mount=type=bind,source=a,target=/b --network=none npm ci --network=host") == []


def test_steps_that_mount_files() -> None:
    assert mounts_files("RUN --mount=type=bind,source=a,target=/a npm ci") and mounts_files("RUN --mount=target=/a true")
    assert mounts_files("RUN --mount=type=cache,target=/a,from=build true") and mounts_files(
        "RUN --mount=type=cache,from=b true"
    )
    assert not mounts_files("RUN --mount=type=cache,target=/a --mount=type=tmpfs,target=/b npm ci --mount=type=bind")


def test_declared_arguments() -> None:
    assert declared_args('ARG A B=1\nFROM x\nARG C="a b"\nONBUILD ARG D\nRUN echo ARG E') >= {"A", "B", "C", "D"}
    assert "E" not in declared_args("FROM x\nRUN echo ARG E")


@pytest.mark.parametrize("text", ["RUN \\\n" * 30_000, "RUN \\\n\n" * 30_000, "RUN \\\n" + "#\n" * 60_000])
def test_a_dockerfile_made_to_be_read_forever_is_refused_or_read_at_once(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(BadInput):
        foreign_images(text, REGISTRY, OWN)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("text", "docker"),
    [
        ("FROM a\nRUN shell\nCMD x\n", False),
        ('FROM a\n\tshell ["bash"]\n', True),
        ("FROM a AS b\nHEALTHCHECK NONE\nFROM c\n", True),
        ("FROM a\r\nONBUILD RUN x\r\n", True),
    ],
)
def test_what_only_dockers_own_format_holds(text: str, docker: bool) -> None:
    assert needs_docker(text) is docker
