"""A rollout as the container that carries it out: labels, environment, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from funai.agent.databases.service import fingerprint
from funai.agent.engine.contract import Container, ContainerSpec
from funai.agent.images.pull import Found, digest_of
from funai.agent.network.networks import ADDRESS, Place
from funai.agent.node import Node
from funai.agent.reconcile import state
from funai.agent.rollout.diagnosis import Variant, base_path, health_path
from funai.contracts import naming
from funai.contracts.agent import AgentDeploy

ProxyLabels = Callable[[AgentDeploy], Mapping[str, str]]
"""Labels that a proxy reads from the container (Traefik); none for HAProxy."""


_PORT = ".loadbalancer.server.port"
_OWN = ".rt-own-"
"""Part of the names of a proxy's labels that are one container's alone."""


def proxy_labels(live: Container | None, ours: Mapping[str, str]) -> Mapping[str, str]:
    """Labels for a container beside ``live``: Traefik drops a router that two containers define differently.

    So while another definition is in force (an older agent's, or other entry points) the new container has that, with its own
    port. What is set now comes into force when the app is stopped and deployed again.
    """
    if live is None or not live.running or not ours:
        return ours
    theirs = {name: value for name, value in live.labels.items() if name.lower().startswith("traefik.")}
    port = next((value for name, value in ours.items() if name.endswith(_PORT)), None)
    if not theirs or port is None:
        return ours
    shared = {name: value for name, value in theirs.items() if _OWN not in name}
    own = {name: value for name, value in ours.items() if _OWN in name}
    return {name: port if name.lower().endswith(_PORT) else value for name, value in shared.items()} | own


class Specs:
    def __init__(self, node: Node, proxy_labels: ProxyLabels) -> None:
        self._node, self._proxy_labels = node, proxy_labels

    def of(
        self,
        wanted: AgentDeploy,
        generation: int,
        image: Found,
        name: str,
        place: Place,
        variant: Variant,
        live: Container | None = None,
    ) -> ContainerSpec:
        """``live``: the container that serves beside it until the switch is over."""
        settings = self._node.settings
        labels = {
            state.INSTANCE: settings.instance,
            state.USER_ID: wanted.user_id,
            state.APP_ID: wanted.app_id,
            state.GENERATION: str(generation),
            state.JOB_ID: str(wanted.job_id or ""),
            state.DIGEST: digest_of(wanted.image, image.image),
            state.IMAGE: wanted.image,
            state.PORT: str(variant.port),
            state.ASKED_PORT: str(wanted.container_port),
            state.HEALTH_PATH: health_path(wanted),
            state.BASE_PATH: base_path(wanted),
            **({} if wanted.strip_prefix else {state.STRIP_PREFIX: "false"}),
            **({state.DATABASES: told} if (told := fingerprint(wanted.env)) else {}),
            ADDRESS: place.address,
            **proxy_labels(live, self._proxy_labels(variant.of(wanted).model_copy(update={"generation": generation}))),
        }
        return ContainerSpec(
            name=name,
            image=image.name,
            port=variant.port,
            labels=labels,
            network=place.network,
            address=place.address,
            publish=self._node.publish,
            env=wanted.env or {},
            hostname=naming.container_host(int(wanted.app_id)) if place.address else "",
            files=self._node.files.of(int(wanted.app_id), place),
            capabilities=tuple(settings.app_capabilities),
            restarts=settings.app_restarts,
            init=variant.init,
            limits=settings.limits,
        )
