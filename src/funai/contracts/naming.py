"""Names that several rooms derive from ids: one place, so that they can't differ."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

ATTEMPTS_PER_JOB = 1024
LABEL = "funai"


def repo_name(user_id: int, app_id: int, template: str = "u{userId}-app{appId}") -> str:
    return template.replace("{userId}", str(user_id)).replace("{appId}", str(app_id))


def repo_ssh_url(host: str, port: int, owner: str, repo: str) -> str:
    return f"ssh://git@{host}:{port}/{owner}/{repo}.git"


def image_repository(registry: str, namespace: str, user_id: int, app_id: int) -> str:
    """``{registry}/{namespace}/u{userId}-app{appId}``, without a tag."""
    return f"{registry}/{namespace}/u{user_id}-app{app_id}"


def base_path(app_id: int) -> str:
    return f"/runtime/{app_id}"


CONTAINER_HOST = "app-"
"""An app's container is called by this and the app's id: frameworks that are set to build their address from it do so."""


def container_host(app_id: int) -> str:
    return f"{CONTAINER_HOST}{app_id}"


def deploy_url(gateway_base_url: str, path: str) -> str:
    return f"{gateway_base_url.rstrip('/')}{path.rstrip('/')}/"


def apps_url(gateway_base_url: str, domain: str) -> str:
    """The template of apps' own addresses, ``http://{app}.apps.example.com:8000/``, with the gateway's scheme and port.

    Empty without a domain, and for a ``.localhost`` one behind a gateway that others reach: there it names their machine.
    """
    gateway = urlsplit(gateway_base_url)
    if not domain or not gateway.hostname or (domain.endswith("localhost") and not _is_loopback(gateway.hostname)):
        return ""
    port = f":{gateway.port}" if gateway.port else ""
    return f"{gateway.scheme}://{{app}}.{domain}{port}/"


def neighbour_url(base_url: str, listens_on: str, port: int) -> str:
    """Another port of the machine that ``base_url`` names, as plain HTTP; empty where that listens on loopback alone."""
    host = urlsplit(base_url).hostname or ""
    if not host or (_is_loopback(listens_on) and not _is_loopback(host)):
        return ""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def access_url(template: str | None, app: int | str) -> str | None:
    """An app's own address; None where apps have none."""
    return template.replace("{app}", str(app)) if template else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def container_name(user_id: int, app_id: int) -> str:
    return f"rt-u-{user_id}-{app_id}"


def generation(job_id: int, attempt: int) -> int:
    """A number that grows with every attempt of every later job of an app (one job per app is active at a time)."""
    return job_id * ATTEMPTS_PER_JOB + min(attempt, ATTEMPTS_PER_JOB - 1)
