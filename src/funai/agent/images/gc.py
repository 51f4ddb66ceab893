"""Images of a deleted app: which of the node's may go, and their removal.

An image goes when every name it has is the app's (its own repository ``…/u{userId}-app{appId}``, or what its containers
were made from), no container uses it, and no rollout is about to. Where it could not be had again it stays: a
name without a registry, or one of another registry than the node's own where that is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from funai.agent.engine.contract import Engine, EngineError, StoredImage
from funai.agent.images.pull import Images
from funai.agent.settings import OnDelete
from funai.base.observability import log
from funai.contracts import naming, rules
from funai.contracts.errors import BadInput

NAMING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Discard:
    """``names`` are taken away first; what is then left of the image goes by its id."""

    id: str
    names: tuple[str, ...]


def disposable(
    images: Iterable[StoredImage],
    *,
    app_repository: str,
    refs: Collection[str],
    used: Collection[str],
    held: Collection[str],
    registry: str,
) -> list[Discard]:
    """The images that go with an app. ``refs``: what its containers were made from; ``used``: ids that containers use;
    ``held``: references that running rollouts use; ``registry``: the node's own, empty when it isn't known.
    """
    mine, wanted = _pairs(refs), _pairs(held)
    out: list[Discard] = []
    for image in images:
        names = [rules.parse_image(n) for n in (*image.names, *image.digests) if _is_reference(n)]
        pairs = {(n.repository, n.digest or n.tag) for n in names}
        if image.id in used or not names or pairs & wanted or not all(_again_from(n.registry, registry) for n in names):
            continue
        repositories = {repository for repository, _ in pairs & mine}
        repositories |= {n.repository for n in names if n.path.rpartition("/")[2] == app_repository}
        foreign = (n for n in names if n.repository not in repositories or not (n.digest or _ours(n, app_repository, mine)))
        if not any(foreign):
            out.append(Discard(image.id, image.names or image.digests))
    return out


def _ours(name: rules.ImageRef, app_repository: str, mine: set[tuple[str, str | None]]) -> bool:
    return name.path.rpartition("/")[2] == app_repository or (name.repository, name.tag) in mine


def _again_from(registry: str, own: str) -> bool:
    return registry == own if own else registry not in ("", "localhost")


def _pairs(refs: Iterable[str]) -> set[tuple[str, str | None]]:
    parsed = [rules.parse_image(ref) for ref in refs if _is_reference(ref)]
    return {(ref.repository, ref.digest or ref.tag or "latest") for ref in parsed}


def _is_reference(name: str) -> bool:
    """An older agent's container may name its image by id only."""
    try:
        rules.parse_image(name)
    except BadInput:
        return False
    return True


class ImageGC:
    def __init__(self, engine: Engine, images: Images, policy: OnDelete) -> None:
        self._engine, self._images, self._policy = engine, images, policy

    async def of_app(self, user_id: int, app_id: int, refs: Collection[str]) -> list[str]:
        """Remove a deleted app's images, by policy; answers the names of the removed ones. What fails is left and logged."""
        if self._policy is OnDelete.KEEP:
            return []
        repository = naming.repo_name(user_id, app_id)
        # One that gets its name this moment is held by that, and would have it afterwards.
        await self._images.named(
            lambda ref: ref in refs or rules.parse_image(ref).path.endswith(f"/{repository}"), NAMING_SECONDS
        )
        try:
            plan = disposable(
                await self._engine.images(),
                app_repository=repository,
                refs=refs,
                used=await self._engine.images_in_use(),
                held=self._images.held,
                registry=self._images.registry,
            )
        except EngineError as e:
            log.get("discard").warning("images.left", app_id=app_id, why=str(e))
            return []
        return [discard.names[0] for discard in plan if await self.remove(discard)]

    async def remove(self, discard: Discard) -> bool:
        """Whether it is gone. What fails is left and logged."""
        try:
            for name in discard.names:
                await self._engine.remove_image(name)
            left = any(image.id == discard.id for image in await self._engine.images())
            return not left or await self._engine.remove_image(discard.id)
        except EngineError as e:
            log.get("discard").warning("image.left", image=discard.names[0], why=str(e))
            return False
