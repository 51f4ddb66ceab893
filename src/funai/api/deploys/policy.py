"""What a user may ask of a deploy, and the payload that comes of it. Pure.

The caller's fields win over the platform's defaults, inside three fences: an image, a repository or a registry of
another user's, and a path under which another app answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from funai.api.settings import ApiSettings
from funai.contracts import naming, rules
from funai.contracts.accounts import CreateDeploy
from funai.contracts.errors import BadInput, Forbidden
from funai.contracts.jobs import BuildRules, Payload
from funai.contracts.reasons import Reason

DEFAULT_PORT = 3000
DEFAULT_TAG = "latest"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the operator set, as the payload needs it. A part that is switched off is None."""

    ssh_host: str | None
    ssh_port: int
    repo_owner: str
    repo_template: str
    git_ref: str
    registry: str | None
    namespace: str
    image_namespaces: Sequence[str] = ()
    repo_prefixes: Sequence[str] = ()
    https_urls: bool = False
    """People are given ``https://`` addresses whatever the nodes announce: TLS ends in front of the gateways."""

    def public(self, url: str | None) -> str | None:
        """An app's address as people are given it."""
        return f"https://{url.removeprefix('http://')}" if url and self.https_urls and url.startswith("http://") else url

    def repo(self, user_id: int, app_id: int) -> str:
        """``owner/name`` of the app's repository."""
        return f"{self.repo_owner}/{naming.repo_name(user_id, app_id, self.repo_template)}"

    def repo_url(self, user_id: int, app_id: int) -> str | None:
        if self.ssh_host is None:
            return None
        name = naming.repo_name(user_id, app_id, self.repo_template)
        return naming.repo_ssh_url(self.ssh_host, self.ssh_port, self.repo_owner, name)


def fill(asked: CreateDeploy, user_id: int, app_id: int, app_name: str, defaults: Defaults) -> Payload:
    """The whole payload. Raises BadInput for what can't be, Forbidden for what isn't theirs."""
    own_repo = defaults.repo_url(user_id, app_id)
    _check_fences(asked, user_id, app_id, own_repo, defaults)
    if not asked.image and not (asked.repo_ssh_url or own_repo):
        raise BadInput(Reason.SOURCE_MISSING)
    values = {
        "user_id": user_id,
        "app_id": app_id,
        "app_name": app_name,
        "image": asked.image or None,
        "container_port": DEFAULT_PORT if asked.container_port is None else asked.container_port,
        "base_path": asked.base_path or naming.base_path(app_id),
        "image_tag": asked.image_tag or DEFAULT_TAG,
        "repo_ssh_url": asked.repo_ssh_url or own_repo,
        "git_ref": asked.git_ref or defaults.git_ref,
        "acr_registry": asked.acr_registry or defaults.registry,
        "acr_namespace": asked.acr_namespace or (defaults.namespace if defaults.registry else None),
        "dockerfile_path": asked.dockerfile_path or None,
        "build_context": asked.build_context or None,
        "health_path": rules.check_health_path(asked.health_path) if asked.health_path else None,
        "no_cache": asked.no_cache or None,
    }
    return Payload.model_validate({k: v for k, v in values.items() if v is not None})


def image_allowed(image: str, user_id: int, app_id: int, defaults: Defaults) -> bool:
    """Whether the image lies in the app's own repository or in a namespace the operator opened.

    Another app's repository stays shut even when the operator opened the namespace it lies in.
    """
    repository = rules.full_repository(rules.parse_image(image))
    if defaults.registry:
        if repository == naming.image_repository(defaults.registry, defaults.namespace, user_id, app_id):
            return True
        if re.fullmatch(re.escape(f"{defaults.registry}/{defaults.namespace}/") + r"u\d+-app\d+(/.*)?", repository):
            return False
    return any(repository.startswith(entry.rstrip("/") + "/") for entry in defaults.image_namespaces)


def _check_fences(asked: CreateDeploy, user_id: int, app_id: int, own_repo: str | None, defaults: Defaults) -> None:
    if asked.image and not image_allowed(asked.image, user_id, app_id, defaults):
        raise Forbidden(Reason.IMAGE_FORBIDDEN, image=asked.image)
    own_path = naming.base_path(app_id)
    if asked.base_path and rules.check_base_path(asked.base_path) != own_path:
        # A gateway knows apps by their numbers: a deeper path would be refused by the agent, after the build.
        raise Forbidden(Reason.BASE_PATH_FORBIDDEN, own=own_path)
    if asked.repo_ssh_url and asked.repo_ssh_url != own_repo:
        url = rules.check_ssh_url(asked.repo_ssh_url)
        if not any(url.startswith(prefix) for prefix in defaults.repo_prefixes):
            raise Forbidden(Reason.REPO_FORBIDDEN, own=own_repo or "-")
    if asked.acr_registry and rules.check_registry(asked.acr_registry) != defaults.registry:
        raise Forbidden(Reason.REGISTRY_FORBIDDEN)
    if asked.acr_namespace and rules.check_namespace(asked.acr_namespace) != defaults.namespace:
        raise Forbidden(Reason.REGISTRY_FORBIDDEN)


def build_rules_of(settings: ApiSettings, user_id: int, app_id: int | None) -> BuildRules:
    """What the Runner's settings say, for a check of a Dockerfile before a push."""
    registry = settings.acr_registry or ""
    own = naming.image_repository(registry, settings.acr_namespace, user_id, app_id) if registry and app_id else ""
    return BuildRules(registry=registry, own=own, base_images=settings.base_images)
