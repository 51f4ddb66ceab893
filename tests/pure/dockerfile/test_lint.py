"""What `funai check` finds in a repository."""

from __future__ import annotations

from typing import Any

import pytest

from funai.dockerfile.images import Allowed
from funai.dockerfile.lint import RepoFacts, lint
from funai.dockerfile.node.render import render
from tests.pure.dockerfile.kit import errors, plan
from tests.pure.dockerfile.node.projects import planned

PACKAGE = '{"scripts": {"start": "node s.js"}}'


def codes(files: dict[str, str], **more: object) -> set[str]:
    sizes = {name: len(text) for name, text in files.items()}
    facts = RepoFacts(files, {**sizes, **more.pop("sizes", {})}, **more)  # type: ignore[arg-type]
    return {f.code for f in lint(facts)}


def test_lint_finds_what_a_deploy_would_refuse() -> None:
    good = {"Dockerfile": "FROM a\nEXPOSE 3000\n"}
    assert codes(good) == set()
    assert codes({}) == {"DOCKERFILE_MISSING"}
    assert codes({"Dockerfile": "FROM a\n"}) == {"NO_EXPOSE"}
    assert codes({"Dockerfile": "EXPOSE 3000\n"}) == {"CONTRACT_INVALID"}
    assert codes({"Dockerfile": "FROM a\nEXPOSE 80\n"}) == {"PORT_MISMATCH"}
    assert codes({"Dockerfile": "FROM a\nEXPOSE 80\n", "deploy/app.yaml": "port: 80\n"}) == set()
    assert codes(good | {"deploy/app.yaml": "port: x\n"}) == {"CONTRACT_INVALID"}
    assert codes({"package.json": PACKAGE}) == {"STANDARD_DOCKERFILE", "NO_LOCKFILE"}
    for step in ("ADD https://x.example/a /a", "RUN --network=host true", "RUN --mount=type=cache,id=../x,target=/x true"):
        assert codes({"Dockerfile": f"FROM a\n{step}\nEXPOSE 3000\n"}) == {"CONTRACT_INVALID"}
    assert codes(good, submodules=["lib"]) == {"GIT_UNSUPPORTED"}
    assert codes(good | {"a/.gitattributes": "*.psd filter=lfs\n"}) == {"GIT_UNSUPPORTED"}
    assert codes(good, sizes={"node_modules/x": 1}) == {"NODE_MODULES"}
    assert codes(good, sizes={"big": 300 * 1024**2}) == {"GIANT_CONTEXT"}
    lock = '{"packages": {"a": {"resolved": "https://npm.corp/a.tgz"}}}'
    assert "LOCKFILE_PRIVATE_HOST" in codes(good | {"package-lock.json": lock})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\ufeffFROM node:20\r\nEXPOSE 3000\r\n", set[str]()),
        ("FROM node:20 \\\n  AS build\nEXPOSE 3000\n", set[str]()),
        ("FROM u2-app1\nEXPOSE 3000\n", {"CONTRACT_INVALID"}),
        ("FROM --platform=linux/arm64 node\nEXPOSE 3000\n", {"DOCKERFILE"}),
        ("FROM 10.0.0.1:5000/base/node\nEXPOSE 3000\n", {"DOCKERFILE"}),
        ("FROM node:20\nRUN x <<A\nEXPOSE 3000\n", {"CONTRACT_INVALID"}),
        ("FROM a\nENV P=3000\nEXPOSE $P\n", set[str]()),
        ("FROM a\nRUN <<A\nEXPOSE 80\nA\nEXPOSE 3000", set[str]()),
    ],
)
def test_check_reads_the_dockerfile_as_the_job_does(text: str, found: set[str]) -> None:
    assert codes({"Dockerfile": text}) == found


def test_check_knows_what_the_platform_told() -> None:
    facts = {"Dockerfile": "FROM r.corp:5000/funai/base-node:20\nEXPOSE 3000\n"}
    for bases, expected in (((), {"CONTRACT_INVALID"}), (("r.corp:5000/funai/base-",), set[str]())):
        assert codes(facts, allowed=Allowed(("r.corp:5000",), "", bases)) == expected


@pytest.mark.parametrize(
    ("package", "files"),
    [
        (
            {"scripts": {"start": "node s.js & node t.js", "build": "x"}, "devDependencies": {"b": "1"}},
            {"package-lock.json": "{}"},
        ),
        (
            {"scripts": {"start": "node s.js", "postinstall": "y"}, "dependencies": {"a": "1"}},
            {"yarn.lock": "a:\n  version 1\n"},
        ),
        ({"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}, {"pnpm-lock.yaml": "importers:\n"}),
    ],
)
def test_the_standard_dockerfile_has_no_problems(package: dict[str, Any], files: dict[str, str]) -> None:
    text = render(planned(package, files), ca_in_context=True, env_files=True)
    assert errors(text) == [] and plan(text).images == ["node:20-bookworm-slim"]
    assert plan(render(planned(package, files))).exposed_ports == [3000]
