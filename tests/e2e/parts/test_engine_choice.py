"""The engine is found by running a container with it, and found again without."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from funai.base.process.proc import run
from funai.standalone.parts import base_image, engine
from funai.standalone.parts.base_image import Origin
from funai.standalone.parts.engine import EngineKind, NoEngine
from funai.standalone.parts.probe import Limit
from tests.parts.extent import only_in_full


async def test_a_choice_runs_containers_and_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_ENGINE", "podman")
    choice = await engine.choose(tmp_path)
    assert choice.limits == tuple(Limit)
    assert choice.host_reaches_containers
    assert engine.load(tmp_path) == choice
    assert await engine.choose(tmp_path) == choice
    images = await run(choice.cli("images", "--format", "{{.Repository}}"), timeout=30)
    assert "funai-probe" not in images.text


@only_in_full  # the choice itself is in every run
async def test_it_is_probed_again_when_its_private_file_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_ENGINE", "podman")
    choice = await engine.choose(tmp_path)
    (tmp_path / "containers.conf").unlink(missing_ok=True)
    (tmp_path / "engine.json").write_text("not json")
    assert await engine.choose(tmp_path) == choice
    assert all(Path(path).is_file() for path in choice.environment.values())


async def test_a_program_that_is_no_engine_is_refused_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "podman"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho it is broken >&2\nexit 125\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FUNAI_ENGINE", "podman")
    with pytest.raises(NoEngine, match="it is broken"):
        await engine.choose(tmp_path / "state")


async def test_docker_without_a_daemon_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_ENGINE", EngineKind.DOCKER)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(NoEngine, match="no daemon answers"):
        await engine.choose(tmp_path / "state")


async def test_the_base_image_that_is_there_is_neither_pulled_nor_made(machine_engine: engine.EngineChoice) -> None:
    assert await base_image.ensure(machine_engine) is Origin.PRESENT


@only_in_full  # every run of the suite begins with a set-up
def test_a_second_set_up_has_nothing_to_do() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run([root / "scripts" / "setup"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert not any(word in done.stdout for word in ("installing", "making", "compiling", "building")), done.stdout
    assert "ready" in done.stdout
