"""Containers of an older agent: the contract's name, and none of our labels. Pure.

They are taken over as they are, as generation 0 of their app: what its labels would say is read from the name, from
Traefik's labels (all that older agents set) and from the image. Ours replace them at the next deploy. Names that we give
such a container (stopped, retired) are read as well, since labels can't be added to a container.
"""

from __future__ import annotations

import re
from dataclasses import replace

from funai.agent.engine.contract import Container
from funai.agent.workload.containers import labels as ours
from funai.contracts import naming
from funai.contracts.wire import MAX_ID

DEFAULT_PORT = 3000
_NAME = re.compile(r"rt-u-?(?P<user>[1-9]\d{0,18})-(?:app)?(?P<app>[1-9]\d{0,18})(?:-off|-g0-old)?")
_TRAEFIK_PORT = re.compile(r"traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port", re.IGNORECASE)


def pattern(app_id: int | None = None) -> str:
    """A regular expression, in the words Go and Python share, for names that ``adopted`` may know: of all apps or one."""
    return f"^/?rt-u-?[0-9]+-(app)?{app_id or '[0-9]+'}(-off|-g0-old)?$"


def adopted(container: Container) -> Container | None:
    """The container with the labels that we would have given it. None when its name is no app's."""
    found = _NAME.fullmatch(container.name)
    if not found or max(int(found["user"]), int(found["app"])) > MAX_ID:
        return None
    app_id = int(found["app"])
    labels = {
        **container.labels,
        ours.INSTANCE: "",
        ours.USER_ID: found["user"],
        ours.APP_ID: found["app"],
        ours.GENERATION: "0",
        ours.IMAGE: container.image,
        ours.PORT: str(_port(container)),
        ours.BASE_PATH: naming.base_path(app_id),
        ours.HEALTH_PATH: "/",
    }
    return replace(container, labels=labels)


def _port(container: Container) -> int:
    """Where it listens: as Traefik's labels say, else the only port its image names, else the contract's default."""
    for label, value in container.labels.items():
        if _TRAEFIK_PORT.fullmatch(label) and value.isdecimal() and 0 < int(value) < 65536:
            return int(value)
    return container.exposed[0] if len(container.exposed) == 1 else DEFAULT_PORT
