"""What an ended build could not remove is removed later, and what runs is left alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from funai.runner.build.image import Builder, group_name
from funai.runner.cleanup.disk import Janitor
from funai.runner.commands.engine import Engine
from funai.runner.metrics import RunnerMetrics
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Source


def container(storage: Path, name: str, cgroup: str) -> None:
    """A builder's working container as Podman's store has it."""
    options = storage / "overlay-containers" / name / "userdata" / "buildah.json"
    options.parent.mkdir(parents=True)
    options.write_text(json.dumps({"CgroupParent": cgroup}, separators=(",", ":")))


@pytest.mark.parametrize("active", [0, 1])
async def test_remove_left_takes_those_of_this_runners_ended_builds(tmp_path: Path, active: int) -> None:
    told, engine = tmp_path / "told", tmp_path / "podman"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {told}\n')
    engine.chmod(0o755)
    settings = RunnerSettings(agent_token=SecretStr("agent-token-1"), workdir=tmp_path / "work", cgroup_parent="builds")
    ours, other = group_name(settings.workdir, "job-1-1"), group_name(tmp_path / "other", "job-1-1")
    container(tmp_path, "aaa", f"/builds/{ours}/leaf")
    container(tmp_path, "bbb", f"/builds/{other}/leaf")
    container(tmp_path, "ccc", "")
    builder = cast("Builder", SimpleNamespace(gate=asyncio.Lock(), active=active))
    metrics = RunnerMetrics(CollectorRegistry())
    janitor = Janitor(settings, Engine(str(engine), tmp_path), Source(settings), tmp_path, builder, metrics)
    await janitor.remove_left()
    assert (told.read_text() if told.exists() else "") == ("" if active else "rm --force aaa\n")
