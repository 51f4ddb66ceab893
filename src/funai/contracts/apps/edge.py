"""Where apps are served, as Deploy reports it to the edge and to a proxy of the operator's."""

from __future__ import annotations

from pydantic import Field

from funai.contracts.apps.domains import MAX_DOMAIN
from funai.contracts.wire import Wire

TOKEN_HEADER = "X-Edge-Token"  # noqa: S105 - the name of a header
UPSTREAM_HEADER = "X-Runtime-Upstream"
MAX_WAIT_SECONDS = 25
MAX_ENTRIES = 2_000
"""Entries of one answer."""


class EdgeNode(Wire):
    """(+) A node as the edge reaches it."""

    id: int
    name: str = ""
    url: str | None = None
    """Base URL of its gateway; None for a node that is gone, or has reported none."""


class EdgeRoute(Wire):
    """(+) The node that serves an app."""

    app_id: int
    node_id: int | None = None
    """None: the app is gone."""


class EdgeName(Wire):
    """(+) A name of an app's own."""

    name: str = Field(max_length=MAX_DOMAIN)
    """A whole domain name; of an alias its first label only."""
    app_id: int | None = None
    """None: the name is gone."""
    alias: bool = False


class RouteChanges(Wire):
    """(+) What changed since a revision, or (``full``) a page of all there is.

    Revisions grow for as long as the database lives. Entries say how things are now; the same one may come twice.
    """

    revision: int
    """Ask with it next. Of a snapshot in several pages the first page's counts."""
    full: bool = False
    nodes: list[EdgeNode] = Field(default_factory=list[EdgeNode])
    routes: list[EdgeRoute] = Field(default_factory=list[EdgeRoute])
    names: list[EdgeName] = Field(default_factory=list[EdgeName])
    next_page: str | None = None
    """Of a snapshot: where its next page starts; None on its last page."""
