from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from funai.cli.main import build
from tests.service.cli.world import Said

PACKAGE = {"name": "x", "scripts": {"start": "node server.js"}}
EXAMPLE = Path(__file__).parents[3] / "examples" / "hello-node"


def funai(*words: object) -> Said:
    done = CliRunner().invoke(build(), [str(w) for w in words], env={"FUNAI_LANG": "en"})
    return Said(done.exit_code, done.stdout, done.stderr)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.com", *words], check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "package.json").write_text(json.dumps(PACKAGE))
    (tmp_path / "server.js").write_text("// nothing\n")
    git(tmp_path, "init", "-q")
    return tmp_path


def test_init_writes_what_check_then_accepts(repository: Path) -> None:
    said = funai("init", repository, "--port", 3000, "--health-path", "/internal/health", "--json")
    assert said.document == {"written": ["Dockerfile", ".dockerignore", "deploy/app.yaml"], "kept": []}
    assert "npm install" in (repository / "Dockerfile").read_text()
    before = funai("check", repository)
    assert before.code == 1
    assert "git add Dockerfile" in before.out
    git(repository, "add", "--all")
    after = funai("check", repository)
    assert after.code == 0, after
    assert after.out.endswith("✓ the repository keeps the build contract\n")


def test_init_keeps_what_is_there(repository: Path) -> None:
    (repository / "Dockerfile").write_text("FROM mine\n")
    assert funai("init", repository, "--json").document == {"written": [".dockerignore"], "kept": ["Dockerfile"]}
    assert (repository / "Dockerfile").read_text() == "FROM mine\n"
    assert funai("init", repository, "--force", "--json").document["kept"] == []


def test_init_takes_the_lockfile_into_account(repository: Path) -> None:
    (repository / "package-lock.json").write_text("{}")
    funai("init", repository)
    assert "npm ci" in (repository / "Dockerfile").read_text()


def test_init_knows_only_node(tmp_path: Path) -> None:
    said = funai("init", tmp_path)
    assert said.code == 2
    assert "write your own" in said.err
    (tmp_path / "package.json").write_text("{}")
    assert funai("init", tmp_path).code == 2


def test_check_counts_what_git_would_push_less_what_docker_ignores(repository: Path) -> None:
    (repository / "Dockerfile").write_text("FROM node:20\nEXPOSE 3000\n")
    (repository / ".gitignore").write_text("untracked.bin\n")
    for name in ("untracked.bin", "ignored.bin"):
        with (repository / name).open("wb") as file:
            file.truncate(300 * 1024 * 1024)  # sparse: takes no disk
    (repository / ".dockerignore").write_text("*.bin\n")
    git(repository, "add", "Dockerfile", "package.json", "server.js", ".gitignore", ".dockerignore")
    assert funai("check", repository, "--json").document["findings"] == []
    (repository / ".gitignore").unlink()
    (repository / ".dockerignore").write_text("\n")
    with (repository / "untracked.bin").open("wb") as file:
        file.truncate(201 * 1024 * 1024)
    (repository / "ignored.bin").unlink()
    git(repository, "add", "--intent-to-add", "untracked.bin")
    assert [f["code"] for f in funai("check", repository, "--json").document["findings"]] == ["GIANT_CONTEXT"]


def test_a_folder_outside_git_is_checked_as_it_lies(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=x\n")
    said = funai("check", tmp_path, "--json")
    assert said.code == 1
    assert {f["code"] for f in said.document["findings"]} == {"DOCKERFILE_MISSING", "SECRET_COMMITTED"}
    assert funai("check", tmp_path / "nowhere").code == 2


def test_the_example_keeps_the_contract() -> None:
    said = funai("check", EXAMPLE)
    assert said.code == 0, said
