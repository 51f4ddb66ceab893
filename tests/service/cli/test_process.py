"""The command line as a process of its own: signals, terminals, services."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

from funai.cli.main import build
from funai.cli.verbs.operator.serve import SERVICES, Service, settings_class
from tests.parts.waiting import free_port, wait_until
from tests.service.api.platform import PASSWORD
from tests.service.cli.world import World

FUNAI = (sys.executable, "-c", "from funai.cli.main import main; main()")
SOURCES = str(Path(__file__).parents[3] / "src")


@contextmanager
def funai(*words: object, env: dict[str, str], **kw: object) -> Iterator[subprocess.Popen[str]]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": SOURCES, "HOME": "/nonexistent", "FUNAI_LANG": "en", **env}
    process = subprocess.Popen(  # type: ignore[call-overload]
        [*FUNAI, *map(str, words)], env=environ, text=True, preexec_fn=_as_a_terminal_starts_it, **kw
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _as_a_terminal_starts_it() -> None:
    """A run of the tests that a shell put into the background has SIGINT ignored, and so would everything it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_detaches_and_the_job_goes_on(ann: World) -> None:
    app_id = ann.create_app("shop")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with funai("deploy", app_id, env=ann.environment, **pipes) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        job_id = int(re.findall(r"\d+", first)[0])
        assert "queued" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == f"job {job_id} goes on. Watch it: funai status {app_id}; cancel it: funai cancel {job_id}\n"
    assert ann.ok("jobs", app_id, "--json").document[0]["status"] == "PENDING"


def test_on_a_terminal_the_phases_redraw_and_the_address_comes_last(ann: World) -> None:
    app_id = ann.create_app("shop")
    here, there = pty.openpty()
    done = ann.later(ann.run_job(log="\x1b[31mred\x1b[0m line\n"))
    env = {**ann.environment, "TERM": "xterm-256color", "COLUMNS": "100"}
    with funai("deploy", app_id, "--follow", env=env, stdout=there, stderr=there, stdin=there) as process:
        os.close(there)
        screen = _read_all(here, seconds=120)
        process.wait(60)
    os.close(here)
    done.result(60)
    assert process.returncode == 0, screen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert "red line" in plain
    assert "✓ queued" in plain
    assert plain.split()[-1] == f"http://gw/runtime/{app_id}/"
    assert "\x1b[?25h" in screen, "the cursor was not given back"


def _read_all(descriptor: int, *, seconds: float) -> str:
    """What the terminal showed until the other end closed."""
    out, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        ready, _, _ = select.select([descriptor], [], [], 0.2)
        if not ready:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    return out.decode(errors="replace")


def test_settings_that_can_t_be_used_name_every_problem(tmp_path: Path) -> None:
    config = tmp_path / "deploy.properties"
    config.write_text("deploy.server.port=99999\ndeploy.proxy-auth.shared-secret=CHANGE_ME\n")
    done = subprocess.run(
        [*FUNAI, "serve", "deploy", "--config", str(config)],
        env={"PYTHONPATH": SOURCES, "FUNAI_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    problems = done.stderr.splitlines()
    assert any(p.startswith("error: deploy.server.port") and str(config) in p for p in problems), problems
    assert any("deploy.proxy-auth.shared-secret" in p and "CHANGE_ME" in p for p in problems), problems


def test_a_service_serves_from_a_file_until_it_is_told_to_stop(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "deploy.properties"
    config.write_text(
        f"deploy.server.port={port}\ndeploy.datasource.url=sqlite:///{tmp_path}/deploy.db\n"
        "deploy.proxy-auth.shared-secret=one\ndeploy.admin.token=two\ndeploy.runtime-node-registry.shared-secret=three\n"
        "deploy.runner-auth.shared-secret=four\ndeploy.runtime-agent.token=five\n"
    )
    with (tmp_path / "log").open("w") as out, funai("serve", "deploy", "-c", config, env={}, stderr=out) as process:

        def healthy() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/health", timeout=2) as answer:
                    return bool(json.load(answer)["data"]["ok"])
            except OSError:
                return False

        wait_until(healthy, seconds=30, what="deploy to serve")
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert "deploy.listening" in {line["event"] for line in lines}


@pytest.mark.parametrize("service", ["api", "deploy"])
def test_db_upgrade_makes_the_tables_twice_without_harm(tmp_path: Path, service: str) -> None:
    words = ["db", "upgrade", service, "--url", f"sqlite:///{tmp_path}/x.db", "--json"]
    for _ in range(2):
        done = CliRunner().invoke(build(), words)
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout) == {"upgraded": [service]}


def test_a_wrong_use_is_told_in_json_too() -> None:
    done = subprocess.run(
        [*FUNAI, "deploy", "--port", "0", "--json"], env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert json.loads(done.stderr)["error"]["reason"] == "USAGE"


def test_the_front_page_loads_neither_rich_nor_pydantic_nor_asyncio() -> None:
    """What keeps it quick; seconds would measure the machine."""
    code = "import sys; from funai.cli.main import main; sys.argv[1:] = ['--help']; main(); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=True)
    page, _, modules = done.stdout.rpartition("\n[")
    assert page.startswith("funai  ")
    loaded = set(re.findall(r"'([^']+)'", modules))
    assert loaded.isdisjoint({"rich", "pydantic", "asyncio", "httpx", "sqlalchemy", "fastapi"})


def test_a_reader_that_leaves_early_causes_no_traceback(ann: World) -> None:
    app_id = ann.create_app("shop")
    ann.ok("deploy", app_id, "--detach")
    ann.now(ann.run_job(log="a line of the build\n" * 10_000))
    with funai("logs", app_id, env=ann.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "a line of the build\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(120) != 0


def typed(*words: object, env: dict[str, str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run on a terminal, answering each prompt when it appears; the exit status and what the screen showed."""
    here, there = pty.openpty()
    screen = ""
    with funai(*words, env={**env, "TERM": "xterm"}, stdin=there, stdout=there, stderr=there) as process:
        os.close(there)
        for prompt, answer in answers:
            deadline = time.monotonic() + 20
            seen = ""
            while prompt not in seen:
                assert time.monotonic() < deadline, f"{prompt!r} did not appear: {screen}{seen}"
                if select.select([here], [], [], 0.2)[0]:
                    seen += os.read(here, 65536).decode()
            screen += seen
            if prompt == "password":
                # Switching the echo off throws away what was typed before it.
                wait_until(lambda: not termios.tcgetattr(here)[3] & termios.ECHO, seconds=20, what="the echo to go off")
            os.write(here, f"{answer}\n".encode())
        screen += _read_all(here, seconds=120)
        code = process.wait(120)
    os.close(here)
    return code, screen


def test_a_person_is_asked_and_the_password_is_not_shown(ann: World) -> None:
    ann.ok("logout")
    answers = [("user", ann.user), ("password", PASSWORD)]
    code, screen = typed("login", env=ann.environment, answers=answers)
    assert code == 0, screen
    assert PASSWORD not in screen
    code, screen = typed("keys", "add", env=ann.environment, answers=[("Make one now?", "y")])
    assert code == 0, screen
    assert "added key" in screen
    assert (ann.folder / "home/.ssh/id_ed25519").stat().st_mode & 0o077 == 0
    ann.create_app("shop")
    code, screen = typed("apps", "delete", "shop", env=ann.environment, answers=[("delete app shop", "n")])
    assert code == 2
    assert ann.ok("apps", "info", "shop")
    code, screen = typed("apps", "delete", "shop", env=ann.environment, answers=[("delete app shop", "y")])
    assert code == 0, screen
    assert ann.funai("apps", "info", "shop").code == 5


@pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)
def test_every_service_is_served_by_its_room_with_its_settings(service: Service) -> None:
    serve = importlib.import_module(f"funai.{service.room}.main").serve
    types = [t for name, t in get_type_hints(serve).items() if name != "return"]
    wanted = [*map(settings_class, service.settings), asyncio.Event]
    assert types[: len(wanted)] == wanted
