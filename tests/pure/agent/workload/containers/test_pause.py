from __future__ import annotations

import platform
import signal
import subprocess
from pathlib import Path

import pytest

from funai.agent.workload.containers.pause import program


def test_program_waits_until_it_is_ended(tmp_path: Path) -> None:
    content = program(platform.machine())
    if content is None:
        pytest.skip(f"none for {platform.machine()}: such a node has no signposts")
    file = tmp_path / "pause"
    file.write_bytes(content)
    file.chmod(0o755)
    running = subprocess.Popen([file])
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=0.2)
    running.terminate()
    assert running.wait(timeout=10) == -signal.SIGTERM


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_program_is_a_static_elf_file_of_its_machine(machine: str, number: int) -> None:
    content = program(machine)
    assert content is not None
    assert content[:4] == b"\x7fELF"
    assert int.from_bytes(content[18:20], "little") == number


def test_program_is_none_for_a_machine_that_is_not_known() -> None:
    assert program("riscv64") is None
