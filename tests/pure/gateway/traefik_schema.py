"""Traefik's published schemas of dynamic configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).parents[4] / "shared" / "spec" / "published"


def schema_of(version: int) -> dict[str, Any] | None:
    """None where it is not at hand."""
    file = PUBLISHED / f"traefik-v{version}-file-provider.json"
    return json.loads(file.read_text()) if file.exists() else None
