"""Labels of a container that is started beside one that serves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from funai.agent.engine.contract import Container, Phase
from funai.agent.workload.containers.spec import proxy_labels
from funai.gateway.traefik import config as traefik

OLD = {
    "traefik.enable": "true",
    "traefik.http.routers.rt-app-7.rule": "PathPrefix(`/runtime/7`)",
    "traefik.http.routers.rt-app-7.middlewares": "rt-mw-7",
    "traefik.http.middlewares.rt-mw-7.stripprefix.prefixes": "/runtime/7",
    "traefik.http.services.rt-svc-7.loadbalancer.server.port": "3000",
}
"""What the agents of before set."""
OURS = traefik.labels(7, 8080, entrypoints=("websecure",))


def container(labels: dict[str, str], phase: Phase = Phase.RUNNING) -> Container:
    return Container(id="c", name="rt-u-1-7", image="x:1", phase=phase, labels={**labels, "other": "x"})


def test_labels_beside_an_older_agents_container_are_its_own_with_the_new_port() -> None:
    given = proxy_labels(container(OLD), OURS)
    assert given == {**OLD, "traefik.http.services.rt-svc-7.loadbalancer.server.port": "8080"}


def test_labels_after_a_change_of_entry_points_stay_those_in_force() -> None:
    before = traefik.labels(7, 8080, entrypoints=("web",))
    assert proxy_labels(container(before), OURS) == before


def test_labels_beside_another_definition_keep_the_routers_of_the_containers_own() -> None:
    given = proxy_labels(container(OLD | traefik.labels(7, 3000, generation=4)), traefik.labels(7, 8080, generation=5))
    assert {name for name in given if ".rt-own-7-4" in name} == set()
    assert given["traefik.http.routers.rt-own-7-5.service"] == "rt-svc-7"


@pytest.mark.parametrize("live", [None, container({}), replace(container(OLD), phase=Phase.EXITED)])
def test_labels_with_no_other_definition_in_force_are_as_set(live: Container | None) -> None:
    assert proxy_labels(live, OURS) == OURS


def test_no_labels_stay_none() -> None:
    assert proxy_labels(container(OLD), {}) == {}
