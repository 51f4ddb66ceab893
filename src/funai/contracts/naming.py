"""Names that several rooms derive from ids: one place, so that they can't differ."""

from __future__ import annotations

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


def deploy_url(gateway_base_url: str, path: str) -> str:
    return f"{gateway_base_url.rstrip('/')}{path.rstrip('/')}/"


def container_name(user_id: int, app_id: int) -> str:
    return f"rt-u-{user_id}-{app_id}"


def generation(job_id: int, attempt: int) -> int:
    """A number that grows with every attempt of every later job of an app (one job per app is active at a time)."""
    return job_id * ATTEMPTS_PER_JOB + min(attempt, ATTEMPTS_PER_JOB - 1)
