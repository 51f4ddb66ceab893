from __future__ import annotations

import pytest

from funai.cli.project.dockerignore import ignorer
from funai.cli.project.repocheck import findings, summary
from funai.contracts.apps.buildspec import DOCKERIGNORE
from funai.dockerfile.lint import RepoFacts

DOCKERFILE = 'FROM node:20\nEXPOSE 3000\nCMD ["npm", "start"]\n'
PACKAGE = '{"scripts": {"start": "node ."}}'


def codes(files: dict[str, str], tracked: set[str] | None = None, **more: object) -> dict[str, bool]:
    facts = RepoFacts(files=files, sizes=dict.fromkeys(tracked or files, 10), **more)  # type: ignore[arg-type]
    return {f.code: f.error for f in findings(facts, tracked if tracked is not None else set(files))}


def test_a_good_repository_is_clean() -> None:
    assert codes({"Dockerfile": DOCKERFILE, "package.json": PACKAGE}) == {}


def test_nothing_to_build_is_an_error() -> None:
    assert codes({}) == {"DOCKERFILE_MISSING": True}


def test_a_dockerfile_that_runs_npm_start_needs_the_script() -> None:
    assert codes({"Dockerfile": DOCKERFILE, "package.json": "{}"}) == {"NPM_START_MISSING": True}
    assert codes({"Dockerfile": DOCKERFILE, "package.json": "{"}) == {"CONTRACT_INVALID": True}
    assert codes({"Dockerfile": DOCKERFILE.replace("npm", "node"), "package.json": "{}"}) == {}


def test_a_port_that_nobody_asks_is_an_error() -> None:
    assert codes({"Dockerfile": DOCKERFILE.replace("3000", "8080")}) == {"PORT_MISMATCH": True}
    assert codes({"Dockerfile": DOCKERFILE.replace("3000", "8080"), "deploy/app.yaml": "port: 8080"}) == {}


def test_what_was_never_committed_never_arrives() -> None:
    found = codes({"Dockerfile": DOCKERFILE}, tracked={"server.js"})
    assert found == {"NOT_COMMITTED": True}


@pytest.mark.parametrize("path", [".env", "api/.env", ".env.production", "certs/server.key", "id_rsa", "deploy/ca.pem"])
def test_secrets_in_the_repository_are_told(path: str) -> None:
    assert codes({"Dockerfile": DOCKERFILE}, tracked={"Dockerfile", path}) == {"SECRET_COMMITTED": False}


def test_a_registrys_login_beside_a_dockerfile_is_told() -> None:
    files = {"Dockerfile": DOCKERFILE, ".npmrc": "//r.example.com/:_authToken=npm_abc\n"}
    assert codes(files, tracked=set(files)) == {"SECRET_COMMITTED": False}


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("VITE_TITLE=Todos\nNEXT_PUBLIC_API=https://api.example.org\n", False),
        ("# shown\nexport REACT_APP_X='1'\n", False),
        ("VITE_TITLE=Todos\nDATABASE_URL=postgres://u:p@db/x\n", True),
        ("VITE_TITLE=Todos\n-----BEGIN PRIVATE KEY-----\n", True),
        ("", True),
    ],
)
def test_build_variables_that_bundlers_publish_are_no_secret(text: str, warned: bool) -> None:
    found = codes({"Dockerfile": DOCKERFILE, ".env.production": text}, tracked={"Dockerfile", ".env.production"})
    assert ("SECRET_COMMITTED" in found) is warned


@pytest.mark.parametrize("path", [".env.example", ".env.sample", "environment.js", "keys.js", "src/id_rsa.test.js"])
def test_examples_of_secrets_are_none(path: str) -> None:
    assert codes({"Dockerfile": DOCKERFILE}, tracked={"Dockerfile", path}) == {}


def test_a_lockfile_of_an_inner_network_is_an_error() -> None:
    lock = '{"packages": {"a": {"resolved": "http://npm.corp.internal/a.tgz"}}}'
    assert codes({"Dockerfile": DOCKERFILE, "package.json": PACKAGE, "package-lock.json": lock}) == {
        "LOCKFILE_PRIVATE_HOST": True
    }


def test_errors_come_first() -> None:
    facts = RepoFacts(files={}, sizes={".env": 1})
    found = findings(facts, None)
    assert [f.error for f in found] == [True, False]
    assert summary(found) == (1, 1)


@pytest.mark.parametrize(
    ("path", "out"),
    [
        (".git/config", True),
        ("node_modules/a/index.js", True),
        ("packages/node_modules/a.js", False),
        (".env.local", True),
        ("src/.env", False),
        ("npm-debug.log.1", True),
        ("server.js", False),
        ("Dockerfile", True),
    ],
)
def test_the_platforms_dockerignore(path: str, out: bool) -> None:
    assert ignorer(DOCKERIGNORE)(path) is out


def test_dockerignore_patterns() -> None:
    ignored = ignorer("# c\n\n/a/*.txt\n**/tmp\nlogs/**\n!logs/keep.log\n[bc].md\nx?y\n[broken\n")
    assert [
        p
        for p in ("a/b.txt", "a/b/c.txt", "tmp/x", "d/e/tmp/x", "logs/a", "b.md", "d.md", "xzy", "xy", "[broken")
        if ignored(p)
    ] == [
        "a/b.txt",
        "tmp/x",
        "d/e/tmp/x",
        "logs/a",
        "b.md",
        "xzy",
        "[broken",
    ]
    assert not ignored("logs/keep.log")
