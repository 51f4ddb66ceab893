"""What the SSH door makes of a client's command, without a connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.contracts.errors import BadInput
from funai.git.repos import check_repo
from funai.git.server import Refusal, parse_request, service_command


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("git-upload-pack 'funai/u1-app2.git'", ("git-upload-pack", "funai/u1-app2")),
        ("git-receive-pack '/funai/u1-app2.git'", ("git-receive-pack", "funai/u1-app2")),
        ("git upload-pack '/funai/u1-app2'", ("git-upload-pack", "funai/u1-app2")),
    ],
)
def test_git_clients_requests_are_understood(command: str, expected: tuple[str, str]) -> None:
    assert parse_request(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        None,
        "",
        "ls",
        "bash -i",
        "git-upload-archive 'funai/u1-app2.git'",
        "git-upload-pack",
        "scp -t /etc",
        "git-upload-pack 'funai/../../etc'",
        "git-upload-pack '../x/y'",
        "git-upload-pack '--strict funai/x'",
        "git-upload-pack 'funai/u1-app2.git' --timeout=1",
        "git-receive-pack 'funai/a/b'",
        "git-receive-pack 'unclosed",
        "git-upload-pack 'funai/u1-app2.git'; id",
        "git-upload-pack '-x/y'",
        "git-upload-pack 'funai/.hidden'",
    ],
)
def test_everything_else_is_refused(command: str | None) -> None:
    with pytest.raises(Refusal):
        parse_request(command)


@pytest.mark.parametrize("repo", ["a", "a/b/c", "../a", "a/..", "a/b.git", ".a/b", "a/-b", "a b/c", "a/b\n", ""])
def test_repository_names_cannot_leave_their_folder(repo: str) -> None:
    with pytest.raises(BadInput):
        check_repo(repo)


def test_the_child_is_argv_with_hooks_off_and_a_bounded_pack() -> None:
    command = service_command("git-receive-pack", Path("/r/funai/x.git"), protocol="version=2", max_push=7)
    assert command.argv[0] == "prlimit" and command.argv[-2:] == ("receive-pack", "/r/funai/x.git")
    assert "core.hooksPath=/dev/null" in command.argv and "receive.maxInputSize=7" in command.argv
    assert command.env and command.env["GIT_PROTOCOL"] == "version=2"


def test_a_strange_protocol_word_does_not_reach_git() -> None:
    command = service_command("git-upload-pack", Path("/r/x.git"), protocol="version=2:$(id)", max_push=7)
    assert command.env and "GIT_PROTOCOL" not in command.env
