"""Reports of Runners that name no image. It can go when every Runner reports ``image`` and ``digest``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funai.contracts import naming


def implied_image(payload: Mapping[str, Any], user_id: int | None, app_id: int) -> str | None:
    """The image that such a Runner pushed, as the job's payload implies; None when it implies none."""
    registry, namespace = payload.get("acrRegistry"), payload.get("acrNamespace")
    if not (registry and namespace and user_id):
        return None
    return f"{naming.image_repository(registry, namespace, user_id, app_id)}:{payload.get('imageTag') or 'latest'}"


def base_path_without_release(payload: Mapping[str, Any]) -> str | None:
    """Such a report makes no release: its job has the app's path."""
    path = payload.get("basePath")
    return str(path) if path else None
