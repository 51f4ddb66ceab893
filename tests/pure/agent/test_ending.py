"""Which process of a container is the app."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from funai.agent.engine.ending import ask_to_end, is_wrapper, wrapped
from tests.parts.waiting import wait_until

APP = """
import signal, sys, time
def end(*_):
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: time.sleep(60)
"""
# Process 1 in small: it starts a shell, that a shell, that the app; neither shell passes a signal on.
INIT = "import os, subprocess, sys; sys.exit(subprocess.run(['sh', '-c', os.environ['OUTER']]).returncode)"
OUTER, INNER = 'sh -c "$INNER"; true', '"$PYTHON" "$APP"; true'


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("sh", "-c", "node s.js"), True),
        (("/bin/bash", "-ec", "node s.js"), True),
        (("npm start",), True),
        (("node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "start"), True),
        (("node", "/usr/local/bin/yarn", "start"), True),
        (("sh", "/start.sh"), False),
        (("node", "server.js"), False),
        (("python3", "-c", "import x"), False),
        ((), False),
    ],
)
def test_a_wrapper_only_waits_for_another(argv: tuple[str, ...], expected: bool) -> None:
    assert is_wrapper(argv) is expected


def test_the_app_behind_two_shells_is_asked_and_ends_by_itself(tmp_path: Path) -> None:
    script = str(tmp_path / "app.py")
    Path(script).write_text(APP)
    env = {**os.environ, "APP": script, "PYTHON": sys.executable, "OUTER": OUTER, "INNER": INNER}
    argv = [sys.executable, "-c", INIT]
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as init:
        try:
            assert init.stdout is not None
            assert init.stdout.readline() == "up\n"
            found = wait_until(lambda: wrapped(init.pid), what="the app is found")
            assert script in found.argv
            asyncio.run(ask_to_end(init.pid, 20))
            assert init.stdout.readline() == "bye\n"
            assert init.wait(60) == 0
        finally:
            if init.poll() is None:
                os.killpg(init.pid, signal.SIGKILL)


def test_a_container_without_wrappers_is_left_to_the_engine() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert wrapped(os.getpid()) is None or wrapped(process.pid) is None
        asyncio.run(ask_to_end(process.pid, 1))
        assert process.poll() is None
        process.kill()
