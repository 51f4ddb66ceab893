"""Small projects as values."""

from __future__ import annotations

import json
from typing import Any

from funai.dockerfile.node.files import ProjectFiles, collect
from funai.dockerfile.node.plan import Plan, make_plan


def project(package: dict[str, Any] | None = None, **files: str) -> ProjectFiles:
    """A repository: ``package`` is its package.json, ``files`` its other files by path."""
    texts = {"package.json": json.dumps(package or {}), **files}
    return collect(texts.get, texts)


def planned(package: dict[str, Any], files: dict[str, str] | None = None, **options: Any) -> Plan:
    return make_plan(project(package, **(files or {})), **options)


def starts(script: str, **more: Any) -> dict[str, Any]:
    """A package.json with this start script."""
    scripts = {"start": script, **more.pop("scripts", {})}
    return {"name": "shop", "version": "1.2.3", "scripts": scripts, **more}
