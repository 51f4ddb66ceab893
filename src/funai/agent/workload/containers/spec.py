"""A generation as the container that carries it out: labels, environment, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from funai.agent.databases.service import fingerprint
from funai.agent.engine.contract import Container, ContainerSpec
from funai.agent.network.networks import Place
from funai.agent.settings import RuntimeSettings
from funai.agent.workload.containers import labels
from funai.agent.workload.contract import Generation, base_path, health_path
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
    def __init__(self, settings: RuntimeSettings, proxy_labels: ProxyLabels, *, published: bool) -> None:
        self._settings, self._proxy_labels, self._published = settings, proxy_labels, published

    def shares_labels(self, wanted: Generation) -> bool:
        """Whether its labels depend on those of the container that serves beside it."""
        return bool(self._for_proxy(wanted))

    def _for_proxy(self, wanted: Generation) -> Mapping[str, str]:
        return self._proxy_labels(wanted.asked.model_copy(update={"container_port": wanted.port, "generation": wanted.number}))

    def of(
        self, wanted: Generation, name: str, place: Place, files: Mapping[str, str], live: Container | None = None
    ) -> ContainerSpec:
        """``files``: path in the container → file of this host. ``live``: the container that serves beside it until the switch
        is over, where ``shares_labels`` says so."""
        settings, asked = self._settings, wanted.asked
        for_proxy = proxy_labels(live, self._for_proxy(wanted))
        return ContainerSpec(
            name=name,
            image=wanted.image,
            port=wanted.port,
            labels={
                labels.INSTANCE: settings.instance,
                labels.USER_ID: asked.user_id,
                labels.APP_ID: asked.app_id,
                labels.GENERATION: str(wanted.number),
                labels.JOB_ID: str(asked.job_id or ""),
                labels.DIGEST: wanted.digest,
                labels.IMAGE: asked.image,
                labels.PORT: str(wanted.port),
                labels.ASKED_PORT: str(asked.container_port),
                labels.HEALTH_PATH: health_path(asked),
                labels.BASE_PATH: base_path(asked),
                **({} if asked.strip_prefix else {labels.STRIP_PREFIX: "false"}),
                **({labels.DATABASES: told} if (told := fingerprint(asked.env)) else {}),
                labels.ADDRESS: place.address,
                **for_proxy,
            },
            network=place.network,
            address=place.address,
            publish=self._published,
            env=asked.env or {},
            hostname=naming.container_host(int(asked.app_id)) if place.address else "",
            files=files,
            capabilities=tuple(settings.app_capabilities),
            restarts=settings.app_restarts,
            init=wanted.init,
            health_check=not for_proxy,
            limits=settings.limits,
        )
