"""What an edge knows: nodes, apps and names as of a revision. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from funai.contracts.apps.domains import DomainRoute
from funai.contracts.apps.edge import EdgeName, EdgeNode, RouteChanges

_FORM = 1


@dataclass(frozen=True, slots=True)
class Upstream:
    """A node's gateway; ``host`` is a name or an address."""

    host: str
    port: int


def upstream_of(url: str | None) -> Upstream | None:
    """None for what an edge can't use: it speaks plain HTTP to nodes, and changes no path."""
    try:
        parts = urlsplit(url or "")
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            return None
        return Upstream(parts.hostname, parts.port or 80)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Changed:
    """What differs after changes were applied: apps, whether names do, and nodes without an address that can be used."""

    apps: frozenset[int] = frozenset()
    names: bool = False
    unusable: tuple[EdgeNode, ...] = ()


@dataclass(slots=True)
class EdgeTable:
    revision: int = 0
    nodes: dict[int, EdgeNode] = field(default_factory=dict[int, EdgeNode])
    apps: dict[int, int] = field(default_factory=dict[int, int])
    """App → the node that serves it."""
    names: dict[str, EdgeName] = field(default_factory=dict[str, EdgeName])

    @classmethod
    def of(cls, pages: Sequence[RouteChanges]) -> EdgeTable:
        """From a snapshot's pages; the first one's revision counts."""
        table = cls()
        for page in pages:
            table.apply(page)
        table.revision = pages[0].revision
        return table

    def apply(self, changes: RouteChanges) -> Changed:
        """Make it as of ``changes.revision``. Applying the same changes again changes nothing."""
        moved = self._moved_nodes(changes.nodes)
        apps = {app_id for app_id, node_id in self.apps.items() if node_id in moved} if moved else set[int]()
        for route in changes.routes:
            before = self.apps.get(route.app_id)
            if route.node_id is None:
                self.apps.pop(route.app_id, None)
            else:
                self.apps[route.app_id] = route.node_id
            if before != route.node_id:
                apps.add(route.app_id)
        names = [name for name in changes.names if self._name(name)]
        self.revision = changes.revision
        unusable = tuple(node for node in changes.nodes if node.id in self.nodes and upstream_of(node.url) is None)
        return Changed(frozenset(apps), bool(names), unusable)

    def _moved_nodes(self, nodes: Iterable[EdgeNode]) -> set[int]:
        """Takes them in; answers those whose address is another."""
        moved: set[int] = set()
        for node in nodes:
            before = self.nodes.get(node.id)
            if not node.name:
                self.nodes.pop(node.id, None)
            else:
                self.nodes[node.id] = node
            if (before.url if before else None) != node.url:
                moved.add(node.id)
        return moved

    def _name(self, name: EdgeName) -> bool:
        before = self.names.get(name.name)
        if name.app_id is None:
            self.names.pop(name.name, None)
            return before is not None
        self.names[name.name] = name
        return before != name

    def upstream(self, app_id: int) -> Upstream | None:
        """Where the app's node is reached; None while that can't be said."""
        node = self.nodes.get(self.apps.get(app_id, 0))
        return upstream_of(node.url) if node else None

    def domains(self) -> list[DomainRoute]:
        """The names as a gateway takes them."""
        found = [n for n in self.names.values() if n.app_id is not None]
        return [DomainRoute(name=n.name, app_id=n.app_id or 0, alias=n.alias) for n in found]

    def to_json(self) -> str:
        data: dict[str, object] = {
            "form": _FORM,
            "revision": self.revision,
            "nodes": [node.to_wire() for node in self.nodes.values()],
            "apps": [[app_id, node_id] for app_id, node_id in self.apps.items()],
            "names": [name.to_wire() for name in self.names.values()],
        }
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> EdgeTable:
        """Raises ValueError for what no edge wrote."""
        data: object = json.loads(text)
        if not isinstance(data, dict) or data.get("form") != _FORM:  # pyright: ignore[reportUnknownMemberType]
            raise ValueError("is not a table of this version")
        data = cast("dict[str, Any]", data)
        try:
            nodes = [EdgeNode.model_validate(row) for row in data["nodes"]]
            names = [EdgeName.model_validate(row) for row in data["names"]]
            apps = {int(app_id): int(node_id) for app_id, node_id in data["apps"]}
            return cls(int(data["revision"]), {n.id: n for n in nodes}, apps, {n.name: n for n in names})
        except (KeyError, TypeError) as e:
            raise ValueError(f"is not a table: {e}") from e
