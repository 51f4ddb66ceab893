"""Containers of an older agent: the contract's name and labels, none of ours."""

from __future__ import annotations

import re

import pytest

from funai.agent.compat import agents
from funai.agent.engine.contract import Container, Phase
from funai.agent.reconcile import state
from funai.agent.workload.containers import labels
from funai.agent.workload.contract import Endpoint, Instance, view, views

TRAEFIK = {"traefik.enable": "true", "traefik.http.services.rt-svc-7.loadbalancer.server.port": "8080"}


def box(name: str, found: dict[str, str] | None = None, exposed: tuple[int, ...] = (), *, up: bool = True) -> Container:
    phase = Phase.RUNNING if up else Phase.EXITED
    return Container(f"id-{name}", name, found or {}, "reg/u1-app7:1", phase, address="10.0.0.2", exposed=exposed)


def taken_over(name: str, found: dict[str, str] | None = None, exposed: tuple[int, ...] = (), *, up: bool = True) -> Instance:
    taken = agents.adopted(box(name, found, exposed, up=up))
    assert taken
    return labels.instance(taken)


@pytest.mark.parametrize("name", ["rt-u-1-7", "rt-u1-app7", "rt-u1-7"])
def test_it_is_generation_0_of_its_app(name: str) -> None:
    taken = taken_over(name, TRAEFIK)
    app = views([taken])[7]
    assert (app.live, app.user_id, app.newest_generation) == (taken, 1, 0)
    assert taken.endpoint == Endpoint("10.0.0.2", 8080)
    assert taken.image == "reg/u1-app7:1"
    assert re.search(agents.pattern(7), name)
    assert re.search(agents.pattern(), "/" + name)
    assert not re.search(agents.pattern(70), name)


@pytest.mark.parametrize(
    ("found", "exposed", "port"),
    [(TRAEFIK, (3000,), 8080), ({}, (80,), 80), ({}, (80, 443), 3000), ({}, (), 3000)],
)
def test_its_port_is_what_traefik_was_told_else_what_the_image_names(
    found: dict[str, str], exposed: tuple[int, ...], port: int
) -> None:
    assert taken_over("rt-u-1-7", found, exposed).port == port


@pytest.mark.parametrize(
    "name",
    ["rt-u-1", "rt-u-1-7x", "rt-u-1-7-g5", "rt-u-1-7-g5-old", "rt-u-1-7.demo", "rt-u-0-7", "my-rt-u-1-7", "rt-u-1-" + "9" * 19],
)
def test_what_is_no_older_agents_name_is_left_alone(name: str) -> None:
    assert agents.adopted(box(name)) is None


def test_the_names_that_it_is_given_are_read_again() -> None:
    stopped, retired = (taken_over(n) for n in ("rt-u-1-7-off", "rt-u-1-7-g0-old"))
    app = view(7, [stopped, retired])
    assert (app.stopped, app.retired) == (stopped, (retired,))


def test_of_two_forms_of_the_name_the_running_one_is_the_app() -> None:
    plain, other = taken_over("rt-u-1-7", up=False), taken_over("rt-u1-app7")
    mend = state.repair(view(7, [plain, other]))
    assert (mend.keep, mend.drain) == (other, (plain,))
