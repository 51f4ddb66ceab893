"""Containers that go while the engine lists them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker import errors

from funai.agent.engine import docker_api
from funai.agent.engine.contract import EngineRefused, NoSuchContainer


def missing() -> errors.NotFound:
    response = requests.Response()
    response.status_code = 404
    return errors.NotFound("no such container", response)


def test_a_list_that_missed_one_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "AGAIN_AFTER", (0.0, 0.0))
    answers: list[Any] = [missing(), missing(), []]

    def containers(**_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    engine: Any = SimpleNamespace(_api=SimpleNamespace(containers=containers))
    listed = partial(docker_api.DockerEngine._containers, engine, {})  # pyright: ignore[reportPrivateUsage]
    assert docker_api._again(listed) == [] and not answers  # pyright: ignore[reportPrivateUsage]


def test_what_moves_for_ever_is_the_engines_failure_and_no_missing_container() -> None:
    def moved() -> None:
        raise docker_api.ListMoved("no such container")

    with pytest.raises(EngineRefused) as caught:
        docker_api._mapped(moved)  # pyright: ignore[reportPrivateUsage]
    assert not isinstance(caught.value, NoSuchContainer)
