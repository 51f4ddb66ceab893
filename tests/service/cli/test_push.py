"""``funai deploy --push``: the person's own git, with the terminal for what ssh asks."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.service.cli.world import World

SOURCES = str(Path(__file__).parents[3] / "src")
ASKING = """#!/bin/sh
printf 'continue connecting? ' >/dev/tty
read -r answer </dev/tty
echo "heard $answer" >&2
exit 255
"""


def repository(ann: World, *words: str) -> Path:
    work = ann.folder / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", *words, str(work)], check=True)
    (work / "file").write_text("x")
    who = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "-C", str(work), "add", "."], check=True)
    subprocess.run(["git", "-C", str(work), *who, "commit", "-qm", "x"], check=True)
    return work


@pytest.fixture
def asking_ssh(ann: World) -> str:
    """Stands for an ssh that meets an unknown host key: it asks on the terminal."""
    script = ann.folder / "ssh"
    script.write_text(ASKING)
    script.chmod(0o755)
    return str(script)


def test_what_ssh_asks_reaches_the_person_at_the_terminal(ann: World, asking_ssh: str) -> None:
    app_id = ann.create_app("shop")
    work = repository(ann)
    here, there = pty.openpty()

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    env = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "GIT_SSH_COMMAND": asking_ssh, "TERM": "xterm", **ann.environment}
    argv = [sys.executable, "-c", "from funai.cli.main import main; main()", "deploy", str(app_id), "--push"]
    with subprocess.Popen(argv, env=env, cwd=work, stdin=there, stdout=there, stderr=there, preexec_fn=own_terminal) as process:
        os.close(there)
        screen = b""
        while b"continue connecting? " not in screen:
            screen += os.read(here, 4096)
        os.write(here, b"yes\n")
        try:
            while piece := os.read(here, 4096):
                screen += piece
        except OSError:  # the terminal's other end is closed
            pass
        code = process.wait(120)
    os.close(here)
    assert code == 1
    assert b"heard yes" in screen, screen
    assert b"git push failed (exit status 128)" in screen, screen


def test_without_a_terminal_the_command_to_run_once_is_named(ann: World) -> None:
    app_id = ann.create_app("shop")
    repository(ann)
    said = ann.funai("deploy", app_id, "--push", GIT_SSH_COMMAND="false")
    assert said.code == 1
    assert (
        f"git push ssh://git@git.test:2222/funai/u{ann.ok('whoami', '--json').document['id']}-app{app_id}.git HEAD:main"
        in said.err
    )


def test_a_sha256_repository_is_told_with_the_way_out(ann: World) -> None:
    app_id = ann.create_app("shop")
    work = repository(ann, "--object-format=sha256")
    for words in (("check",), ("deploy", app_id, "--push")):
        said = ann.funai(*words)
        assert said.code == 1
        assert "SHA-256" in said.out + said.err
        assert "git init --object-format=sha1" in said.out + said.err
    assert work.is_dir()
