"""The build's control group as files: what the engine does to it at the same time."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from funai.runner.build.cgroup import LEAF, BuildGroup, group_names


def test_steps_that_come_and_go_while_it_looks_are_no_error(tmp_path: Path) -> None:
    """The engine removes a step's group in the middle of a count; the group's files are ordinary ones here."""
    group = BuildGroup("funai", "job-1-1", root=tmp_path)
    for hierarchy in ("memory", "pids"):
        (tmp_path / hierarchy).mkdir()
    group.create(memory_bytes=1 << 30, pids=100, cpus=1)
    steps = [tmp_path / h / "funai" / "job-1-1" / LEAF / f"step-{n}" for h in ("memory", "pids") for n in range(5)]
    looked = threading.Event()

    def engine() -> None:
        while not looked.is_set():
            for step in steps:
                with suppress(FileNotFoundError):
                    step.mkdir(parents=True, exist_ok=True)
            for step in steps:
                with suppress(OSError):
                    step.rmdir()
                    step.parent.rmdir()

    thread = threading.Thread(target=engine)
    thread.start()
    try:
        for _ in range(300):
            assert group.usage().oom_kills == 0
            assert group.pids() == set()
            group.steps()
    finally:
        looked.set()
        thread.join()
    assert group.remove()
    assert not (tmp_path / "pids" / "funai" / "job-1-1").exists()


def test_remove_waits_for_a_daemon_that_lets_go_late(tmp_path: Path) -> None:
    """A group that the engine still holds stays, is named, and goes as soon as the engine lets go of it."""
    group = BuildGroup("funai", "a-job-1", root=tmp_path)
    (tmp_path / "pids").mkdir()
    group.create(memory_bytes=1 << 30, pids=100, cpus=1)
    held = tmp_path / "pids" / "funai" / "a-job-1" / LEAF / "step" / "cgroup.procs"
    held.parent.mkdir(parents=True)
    held.touch()
    assert not group.remove(0.05)
    assert group_names("funai", "a-", tmp_path) == {"a-job-1"}
    assert group_names("funai", "b-", tmp_path) == set()
    later = threading.Timer(0.2, held.unlink)
    later.start()
    assert group.remove(60)
    later.join()
    assert group_names("funai", "a-", tmp_path) == set()
