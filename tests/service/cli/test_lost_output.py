"""Standard streams that are closed, full or left: an exit status of its own and at most one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.cli.world import World

SOURCES = str(Path(__file__).parents[3] / "src")
FUNAI = f"{sys.executable} -c 'from funai.cli.main import main; main()'"


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``funai`` in the line is the command line; PIPESTATUS is Bash's."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "HOME": "/nonexistent", "FUNAI_LANG": "en", **env}
    words = ["bash", "-c", f'funai() {{ {FUNAI} "$@"; }}; {line}']
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["status", "status --json", "apps list", "--help", "deploy --help"])
def test_a_closed_stdout_is_silence(ann: World, words: str) -> None:
    done = shell(f"funai {words} >&-", **ann.environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["status", "status --json", "--help", "deploy --help"])
def test_a_full_stdout_is_one_line_and_status_8(ann: World, words: str) -> None:
    done = shell(f"funai {words} >/dev/full", **ann.environment)
    assert (done.returncode, done.stderr) == (8, "funai: standard output: No space left on device\n")


def test_a_reader_that_left_is_silence_and_sigpipes_status(ann: World) -> None:
    done = shell("funai apps list --json | true; echo ${PIPESTATUS[0]}", **ann.environment)
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_refusal_without_any_stream_keeps_its_status(ann: World) -> None:
    assert shell("funai apps info no-such-app >&- 2>&-", **ann.environment).returncode == 5
    assert shell("funai apps info no-such-app 2>/dev/full", **ann.environment).returncode == 8


def test_an_account_without_a_home_needs_none(ann: World) -> None:
    """A uid without an account, as containers of a CI have: the variables say all that a login would."""
    key = ann.ok("api-key", "--json").document["apiKey"]
    code = "import pwd\ndef nobody(uid): raise KeyError(uid)\npwd.getpwuid = nobody\nfrom funai.cli.main import main; main()"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "FUNAI_SERVER": ann.url, "FUNAI_LANG": "en"}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", code, *words]
        return subprocess.run(argv, env={**env, **more}, capture_output=True, text=True, check=False)

    done = run("status", "--json", FUNAI_API_KEY=key)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    refused = run("logout")
    assert refused.returncode == 0, refused.stderr
    refused = run("keys", "add", FUNAI_API_KEY=key)
    assert (refused.returncode, "set HOME" in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)
