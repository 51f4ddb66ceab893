"""What shells, files and terminals hand over when it isn't what anybody meant: a refusal that says so, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.api.platform import PASSWORD
from tests.service.cli.world import World

SOURCES = str(Path(__file__).parents[3] / "src")


@pytest.mark.parametrize(
    "words",
    [
        ("apps", "create", "\udcff"),
        ("env", "set", "--app", "1", "A=\udcff"),
        ("deploy", "1", "--ref", "\udcff"),
        ("login", "-u", "\udcff", "--password-stdin"),
        ("env", "unset", "--app", "1", "A", "\udcff"),
    ],
)
def test_bytes_that_are_no_text_are_refused(ann: World, words: tuple[str, ...]) -> None:
    said = ann.funai(*words, "--json", input=f"{PASSWORD}\n")
    assert (said.code, said.error["reason"]) == (2, "BAD_INPUT"), said


@pytest.mark.parametrize("key", ["ké", "a\nb"])
def test_a_key_that_no_header_can_carry_is_refused(ann: World, key: str) -> None:
    app_id = ann.create_app("shop")
    said = ann.funai("deploy", app_id, "--idempotency-key", key, "--json")
    assert (said.code, said.error["reason"]) == (2, "IDEMPOTENCY_KEY_INVALID"), said


def test_a_private_key_on_standard_input_does_not_leave_the_machine(ann: World) -> None:
    asked = len(ann.answers)
    said = ann.funai("keys", "add", "-", input="-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n")
    assert said.code == 2
    assert "private key" in said.err
    assert len(ann.answers) == asked


def test_a_file_that_can_t_be_used_is_named(ann: World) -> None:
    app_id = ann.create_app("shop")
    (ann.folder / "work" / ".funai").mkdir()
    said = ann.funai("apps", "link", app_id, "--json")
    assert said.code == 2
    assert said.error["message"].endswith(".funai: Is a directory")


def test_a_push_that_fails_says_what_git_said(ann: World) -> None:
    app_id = ann.create_app("shop")
    said = ann.funai("deploy", app_id, "--push", "--json")
    assert said.code == 1
    assert "not a git repository" in said.error["message"]
    without_git = ann.funai("deploy", app_id, "--push", "--json", PATH="/nonexistent")
    assert without_git.code == 1
    assert without_git.error["message"].startswith("git push: git: ")


def test_a_password_changed_with_an_api_key_leaves_the_saved_login_alone(ann: World) -> None:
    key = ann.ok("api-key", "--json").document["apiKey"]
    other = f"{ann.user}-too"
    ann.register(other)
    ann.ok("password", "--password-stdin", input=f"{PASSWORD}\nanother-{PASSWORD}\n", FUNAI_API_KEY=key)
    assert ann.ok("whoami", "--json").document["userName"] == other


def test_an_address_where_nothing_answers_is_named(ann: World) -> None:
    said = ann.funai("whoami", "--server", "http://127.0.0.1:1")
    assert said.code == 6
    assert said.err.startswith("error: http://127.0.0.1:1 can't be reached: ")
    assert ann.funai("whoami", "--server", "http://127.0.0.1:1", FUNAI_LANG="zh").err.startswith(
        "错误: 连不上 http://127.0.0.1:1"
    )


def test_a_terminal_without_the_characters_and_a_folder_that_is_gone(tmp_path: Path) -> None:
    """One process: the check's marks as ASCII, run in a folder that was removed."""
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from funai.cli.main import main; main()"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "PYTHONIOENCODING": "ascii", "FUNAI_LANG": "zh"}
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(tmp_path)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "[DOCKERFILE_MISSING]" in done.stdout


def test_a_folder_that_is_gone_is_said_to_be(ann: World) -> None:
    (ann.folder / "work").rmdir()
    said = ann.funai("releases", "--json")
    assert said.code == 2
    assert "folder is gone" in said.error["message"]
