"""What containers' names and labels say."""

from __future__ import annotations

import pytest

from funai.agent.engine.contract import Container, Phase
from funai.agent.workload.containers import labels
from funai.agent.workload.containers.labels import Names
from funai.agent.workload.contract import Endpoint, Role


@pytest.mark.parametrize("instance", ["", "demo1"])
def test_the_four_names_are_told_apart(instance: str) -> None:
    names = Names(1, 7, instance)
    made = [names.live, names.candidate(12), names.retired(12), names.stopped]
    assert [labels.role(n) for n in made] == [Role.LIVE, Role.CANDIDATE, Role.RETIRED, Role.STOPPED]
    assert len(set(made)) == 4


def test_the_plain_name_is_the_contracts() -> None:
    assert Names(1, 7).live == "rt-u-1-7"


@pytest.mark.parametrize(
    ("published", "phase", "endpoint", "home"),
    [
        (False, Phase.RUNNING, Endpoint("10.0.0.2", 3000), Endpoint("10.0.0.2", 3000)),
        (False, Phase.EXITED, None, Endpoint("10.0.0.2", 3000)),
        (True, Phase.RUNNING, Endpoint("127.0.0.1", 40001), None),
        (True, Phase.EXITED, None, None),
    ],
)
def test_instance_is_reached_at_its_address_or_its_published_port(
    published: bool, phase: Phase, endpoint: Endpoint | None, home: Endpoint | None
) -> None:
    said = {labels.APP_ID: "7", labels.PORT: "3000", labels.ADDRESS: "10.0.0.2"}
    up = phase is Phase.RUNNING
    container = Container("c", "rt-u-1-7", said, "i", phase, address="10.0.0.2" if up else "", published=40001 if up else 0)
    found = labels.instance(container, published=published)
    assert (found.endpoint, found.home) == (endpoint, home)


def test_instance_without_labels_of_ours_is_no_apps() -> None:
    assert labels.instance(Container("c", "postgres", {labels.APP_ID: "x"}, "i", Phase.RUNNING)).app_id == 0
