"""Which rollouts an agent takes. Pure: an app's instances and the request in."""

from __future__ import annotations

from funai.agent.workload.contract import AppView, Instance
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason


def newest(app: AppView) -> int:
    """The newest generation that the app was given; a candidate is none yet."""
    return max((c.generation for c in (app.live, app.stopped, *app.retired) if c), default=0)


def admit(before: AppView, asked: int | None, fence: int = 0) -> int:
    """The generation to roll out. Without one asked for (older runners): the next.

    Raises Conflict ``STALE_GENERATION`` for an older one than the app has, and for one that a stop or delete came after.
    """
    latest = newest(before)
    if asked is None:
        return max(latest, fence) + 1
    if asked < latest or (fence and asked <= fence):
        raise Conflict(Reason.STALE_GENERATION)
    return asked


def same_release(before: AppView, wanted: AgentDeploy) -> Instance | None:
    """The live instance when this very rollout has been committed already: the caller lost the answer."""
    live = before.live
    if wanted.generation is None or live is None or not live.running:
        return None
    same = live.generation == wanted.generation and live.image == wanted.image
    return live if same else None
