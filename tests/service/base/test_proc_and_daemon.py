"""Children die as groups; daemons outlive their owner."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from funai.base.process import ports
from funai.base.process.daemon import Daemon, Program, keep_up, start_time
from funai.base.process.lifecycle import Change, listening
from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, checked, run, spawn
from funai.contracts.errors import ConfigError
from tests.parts.waiting import eventually

SERVER = (
    "import http.server,sys; "
    "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.BaseHTTPRequestHandler).serve_forever()"
)


async def test_output_is_kept_up_to_the_limit_and_the_child_never_blocks() -> None:
    done = await run(Command((sys.executable, "-c", "print('x' * 3_000_000)")), timeout=120, max_output=1000)
    assert done.code == 0 and len(done.out) == 1000


async def test_input_reaches_the_child() -> None:
    assert (await run(Command(("cat",)), timeout=60, input=b"a" * 200_000)).out == b"a" * 200_000


async def test_a_timeout_kills_grandchildren_too(tmp_path: Path) -> None:
    script = (
        "import subprocess,time; "
        f"p=subprocess.Popen(['sleep','600']); open({str(tmp_path / 'pid')!r},'w').write(str(p.pid)); "
        "time.sleep(600)"
    )
    with pytest.raises(ProcessTimeout):
        await run(Command((sys.executable, "-c", script)), timeout=1.5)
    grandchild = int((tmp_path / "pid").read_text())
    await eventually(lambda: not start_time(grandchild), seconds=5)


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProcessMissing, match="no-such-program"):
        await run(Command(("no-such-program",)), timeout=5)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((sys.executable, "-c", "import sys; sys.exit('the reason')"), "the reason$"),
        (("no-such-program",), "no-such-program"),
        ((sys.executable, "-c", "import time; time.sleep(600)"), "took longer than"),
    ],
)
async def test_checked_of_a_program_that_fails_raises_the_callers_error(argv: tuple[str, ...], says: str) -> None:
    with pytest.raises(LookupError, match=says):
        await checked(Command(argv), LookupError, timeout=1.5 if "600" in argv[-1] else 60)


async def test_checked_of_a_program_that_succeeds_returns_its_output() -> None:
    assert (await checked(Command(("cat",)), LookupError, timeout=60, input=b"given")).text == "given"


async def test_our_secrets_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_PROXY_SHARED_SECRET", "very secret")
    assert b"very secret" not in (await run(Command(("env",)), timeout=60)).out


async def test_a_killed_childs_status_is_its_own_and_no_unknown_childs(caplog: pytest.LogCaptureFixture) -> None:
    async def killed() -> int:
        async with spawn(Command(("sleep", "60"))) as child:
            return await child.kill()

    assert set(await asyncio.gather(*(killed() for _ in range(40)))) == {-signal.SIGKILL}
    assert "Unknown child" not in caplog.text


async def test_leaving_the_context_ends_the_child() -> None:
    async with spawn(Command(("sleep", "600"))) as child:
        pid = child.pid
    assert not start_time(pid)


def _daemon(tmp_path: Path, port: int, config: str = "") -> Daemon:
    async def ready() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    program = Program("web", (sys.executable, "-c", SERVER, str(port)), {}, config)
    return Daemon(program, tmp_path / "run", tmp_path / "log", ready)


async def test_the_next_owner_adopts_it_and_a_changed_one_replaces_it(tmp_path: Path) -> None:
    port = ports.free_port()
    first = _daemon(tmp_path, port)
    await first.ensure()
    second = _daemon(tmp_path, port)
    await second.ensure()
    assert second.adopted and second.pid == first.pid
    third = _daemon(tmp_path, port, config="new")
    await third.ensure()
    assert not third.adopted and third.pid != first.pid
    assert (holder := ports.holder(port)) and f"pid {third.pid}" in holder
    await third.stop()
    assert ports.is_free("127.0.0.1", port)
    await first.stop()


async def test_it_comes_back_when_killed(tmp_path: Path) -> None:
    daemon, stop = _daemon(tmp_path, ports.free_port()), asyncio.Event()
    await daemon.ensure()
    back: asyncio.Queue[int] = asyncio.Queue()

    async def died() -> None:
        back.put_nowait(daemon.pid)

    heard: list[tuple[str, Change, str]] = []

    def hear(program: str, change: Change, why: str) -> None:
        heard.append((program, change, why))

    with listening(hear):
        watch = asyncio.create_task(daemon.watch(stop, died))
    first = daemon.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        assert await back.get() != first
    assert [(change, why) for _, change, why in heard] == [(Change.DIED, ""), (Change.BACK, "")]
    stop.set()
    await watch
    await daemon.stop()


async def test_one_that_dies_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    program = Program("broken", (sys.executable, "-c", "import sys; sys.exit('no such option')"), {})
    with pytest.raises(ConfigError, match="no such option"):
        await Daemon(program, tmp_path, tmp_path, never, ready_seconds=30).ensure()


async def test_what_came_up_does_not_outlive_a_start_that_fails(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    port = ports.free_port()
    good = _daemon(tmp_path, port)
    bad = Daemon(Program("broken", (sys.executable, "-c", "0"), {}), tmp_path / "run", tmp_path / "log", never)
    with pytest.raises(ConfigError, match="broken did not come up"):
        async with AsyncExitStack() as teardown:
            await keep_up([good, bad], teardown)
    assert ports.is_free("127.0.0.1", port)
    async with AsyncExitStack() as teardown:
        await keep_up([good], teardown)
        assert not ports.is_free("127.0.0.1", port)
    assert ports.is_free("127.0.0.1", port)
