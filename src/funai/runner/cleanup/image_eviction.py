"""Which images of the engine's build cache may go, and in which order: a pure rule over the engine's list.

What the builder left is either nameless (layers, and images that a later build took the name from) or named
``…/u{userId}-app{appId}:tag`` by a build of ours. Everything else is in use: base images, and what a runtime-agent
pulled by digest for a release that runs or is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_OURS = re.compile(r"[^@]+/u[1-9][0-9]*-app[1-9][0-9]*:[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class CachedImage:
    """One image of the engine. ``created`` is epoch seconds; ``containers`` use it right now."""

    id: str
    parent: str
    names: tuple[str, ...]
    created: int
    containers: int = 0


def parse_images(listing: str) -> list[CachedImage]:
    """``podman images --all --format json`` to values."""
    loaded: list[dict[str, Any]] = json.loads(listing or "[]")
    return [
        CachedImage(
            str(i["Id"]),
            str(i.get("ParentId") or ""),
            tuple(i.get("Names") or ()),
            int(i.get("Created") or 0),
            int(i.get("Containers") or 0),
        )
        for i in loaded
    ]


def parse_described(lines: str) -> list[CachedImage]:
    """What :meth:`Engine.describe` prints of Docker's images to values.

    Pushed and pulled images bear a digest there, so it tells nothing of who made a named one; a nameless one with a
    digest was pulled by it.
    """
    out: list[CachedImage] = []
    for line in lines.splitlines():
        found, parent, tags, digests, created = json.loads(line)
        names = tuple(tags or ()) or tuple(digests or ())
        out.append(
            CachedImage(str(found), str(parent or ""), names, int(datetime.fromisoformat(created[:19] + "Z").timestamp()))
        )
    return out


def is_cache(image: CachedImage) -> bool:
    """True for an image that a build of ours left and nothing else uses."""
    return image.containers == 0 and all(_OURS.fullmatch(name) for name in image.names)


def removable(images: Sequence[CachedImage], *, older_than: int) -> list[CachedImage]:
    """Cache images that no other image stands on, built before ``older_than`` (epoch seconds), oldest first.

    As long as superseded ones are left, none that still bears an app's name: the app's next build starts from these.
    """
    parents = {i.parent for i in images}
    leaves = [i for i in images if is_cache(i) and i.id not in parents and i.created < older_than]
    superseded = [i for i in leaves if not i.names]
    return sorted(superseded or leaves, key=lambda i: i.created)
