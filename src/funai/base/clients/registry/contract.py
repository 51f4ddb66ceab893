"""What retention asks of a registry. Drivers: ``distribution`` (any registry), ``harbor`` (Harbor's artifact API).

Contract of a driver:

* ``repository`` is the full path, with the namespace: ``funaistudio/u1-app2``.
* Calls may run concurrently. All are idempotent; cancelling a ``delete`` leaves the manifest there or gone, never half.
* ``delete`` takes away one manifest and every tag that points at it, and nothing else: images that share layers with it
  stay pullable. The bytes are freed by the registry's own garbage collection.
* A manifest that the registry's own rules keep raises RegistryFailed with ``Why.IMMUTABLE``; others can be deleted all the
  same.
* A repository or manifest that isn't there is an empty answer, not an error.
* They raise ``CalleeFailed`` (registry) when the registry can't be reached, refuses the login, or has deletes switched off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from funai.contracts.errors import CalleeFailed
from funai.contracts.reasons import Reason


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest in a repository. ``children`` are the manifests it refers to when it is an index of several."""

    digest: str
    tags: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()


class ImageRegistry(Protocol):
    async def artifacts(self, repository: str) -> list[Artifact]:
        """What the registry lists there: every tagged manifest at least (untagged ones where it can list them)."""
        ...

    async def artifact(self, repository: str, digest: str) -> Artifact | None:
        """One manifest by its digest, tagged or not; ``tags`` may be empty even when there are some."""
        ...

    async def delete(self, repository: str, digest: str) -> bool:
        """True when it was there."""
        ...

    async def forget(self, repository: str) -> bool:
        """Remove the entry of a repository that holds nothing any more, where the registry keeps one; True when it did."""
        ...

    @property
    def keeps_empty(self) -> bool:
        """Whether a repository that holds nothing keeps an entry, which ``forget`` removes."""
        ...

    async def repositories(self, namespace: str) -> list[str]:
        """Full paths of the repositories in this namespace, in no order; one that holds nothing may be among them."""
        ...

    async def rivals(self, namespace: str) -> list[str]:
        """Rules of the registry's own that would delete images of apps in this namespace, each in a few words."""
        ...

    async def close(self) -> None: ...


class Why(StrEnum):
    """What went wrong with a registry, as far as the one who reads it has to do something else."""

    AWAY = "AWAY"
    """No answer, or one of its own failures: it may be back in a moment."""
    AUTH = "AUTH"
    LIMITED = "LIMITED"
    """It counts pulls, and this one was too many."""
    FULL = "FULL"
    """Its disk is full."""
    QUOTA = "QUOTA"
    """The project's or account's share of its disk is used up."""
    IMMUTABLE = "IMMUTABLE"
    """A rule of the registry's own keeps the tag as it is: it can be neither moved nor deleted."""
    NO_REGISTRY = "NO_REGISTRY"
    """Something else answers: a proxy's page, a web server."""
    PRIVATE = "PRIVATE"
    """It, or where it sends us, is at an address that the operator did not open."""
    REFUSED = "REFUSED"


class RegistryFailed(CalleeFailed):
    """The registry could not be reached or refused."""

    def __init__(self, detail: str, why: Why = Why.REFUSED) -> None:
        self.why = why
        self.detail = detail
        super().__init__(Reason.CALLEE_FAILED, service="registry", detail=detail)
