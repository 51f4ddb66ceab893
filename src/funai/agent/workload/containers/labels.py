"""What containers' names and labels say about instances. Pure.

An instance's role is its container's *name*, the one thing that can be changed on a container, and atomically::

    rt-u-1-7            LIVE       the only one that has the plain name
    rt-u-1-7-g3073      CANDIDATE
    rt-u-1-7-g2049-old  RETIRED
    rt-u-1-7-off        STOPPED

A rollout commits by two renames: live → retired, candidate → live. So every moment has exactly one reading, and no file of
ours has to agree with the engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from funai.agent.engine.contract import Container
from funai.agent.workload.contract import Endpoint, Instance, Role
from funai.contracts import naming

INSTANCE = f"{naming.LABEL}.instance"
USER_ID = f"{naming.LABEL}.userId"
APP_ID = f"{naming.LABEL}.appId"
GENERATION = f"{naming.LABEL}.generation"
JOB_ID = f"{naming.LABEL}.jobId"
DIGEST = f"{naming.LABEL}.digest"
PORT = f"{naming.LABEL}.port"
ASKED_PORT = f"{naming.LABEL}.askedPort"
HEALTH_PATH = f"{naming.LABEL}.healthPath"
BASE_PATH = f"{naming.LABEL}.basePath"
STRIP_PREFIX = f"{naming.LABEL}.stripPrefix"
IMAGE = f"{naming.LABEL}.image"
DATABASES = f"{naming.LABEL}.databases"
ADDRESS = f"{naming.LABEL}.address"

_SUFFIX = re.compile(r"-(?:(?P<off>off)|g(?P<gen>\d+)(?P<old>-old)?)$")


@dataclass(frozen=True, slots=True)
class Names:
    """The four names of one app. ``instance`` keeps two platforms on one engine apart; empty is the contract's name."""

    user_id: int
    app_id: int
    instance: str = ""

    @property
    def live(self) -> str:
        plain = naming.container_name(self.user_id, self.app_id)
        return f"{plain}.{self.instance}" if self.instance else plain

    @property
    def stopped(self) -> str:
        return f"{self.live}-off"

    def candidate(self, generation: int) -> str:
        return f"{self.live}-g{generation}"

    def retired(self, generation: int) -> str:
        return f"{self.live}-g{generation}-old"


def role(name: str) -> Role:
    found = _SUFFIX.search(name)
    if not found:
        return Role.LIVE
    if found["off"]:
        return Role.STOPPED
    return Role.RETIRED if found["old"] else Role.CANDIDATE


def number(container: Container, label: str) -> int:
    """A label as a number, 0 when it is missing or something else."""
    value = container.labels.get(label, "")
    return int(value) if value.isdecimal() else 0


def instance(container: Container, *, published: bool = False) -> Instance:
    """The container as an instance. ``published``: the gateway reaches it at a port of this host's loopback."""
    labels, port, app_id = container.labels, number(container, PORT), number(container, APP_ID)
    address = labels.get(ADDRESS, "")
    endpoint = ("127.0.0.1", container.published) if published else (container.address, port)
    return Instance(
        key=container.id,
        name=container.name,
        app_id=app_id,
        role=role(container.name),
        phase=container.phase,
        user_id=number(container, USER_ID),
        generation=number(container, GENERATION),
        image=labels.get(IMAGE, container.image),
        digest=labels.get(DIGEST),
        port=port,
        asked_port=number(container, ASKED_PORT),
        base_path=labels.get(BASE_PATH, naming.base_path(app_id)),
        strip_prefix=labels.get(STRIP_PREFIX) != "false",
        health_path=labels.get(HEALTH_PATH, "/"),
        databases=labels.get(DATABASES, ""),
        exit_code=container.exit_code,
        oom_killed=container.oom_killed,
        restarts=container.restarts,
        started_at=container.started_at,
        finished_at=container.finished_at,
        address=address,
        endpoint=Endpoint(*endpoint) if all(endpoint) else None,
        home=Endpoint(address, port) if address and port and not published else None,
        pid=container.pid,
    )
