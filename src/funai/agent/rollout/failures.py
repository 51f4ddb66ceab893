"""Why a rollout failed, in the agent's own error form: ``{"detail": DeployFailure}``.

::

    RolloutFailed         the new generation is removed; what served before still serves
    ├── blame user     422    the app's own fault: exited, out of memory, not listening, unhealthy, image not there or not
    │                         to be started
    └── blame platform 502    engine, registry or gateway
"""

from __future__ import annotations

from funai.agent.images.pull import NotFetched
from funai.agent.workload.contract import ReleaseUnusable, Unreachable, WorkloadError
from funai.contracts.agent import DeployFailure
from funai.contracts.errors import FunaiError
from funai.contracts.reasons import Blame, FailureCode, Reason

QUOTED = 300


class RolloutFailed(FunaiError):
    """``code`` is the HTTP status; ``detail`` the DeployFailure as it goes over the wire.

    Its message is in both languages: it is stored with the job and read later, in either language.
    """

    def __init__(
        self,
        failure: FailureCode,
        *,
        exit_code: int | None = None,
        oom_killed: bool | None = None,
        log_tail: list[str] | None = None,
        **params: object,
    ) -> None:
        self.code = 422 if failure.blame is Blame.USER else 502
        self.exit_code, self.oom_killed, self.log_tail = exit_code, oom_killed, log_tail or []
        super().__init__(Reason(failure), text=None, **params)

    @property
    def detail(self) -> dict[str, object]:
        return DeployFailure(
            code=self.reason,
            message=f"{self.message('zh')}\n{self.message('en')}",
            exit_code=self.exit_code,
            oom_killed=self.oom_killed,
            log_tail=self.log_tail,
        ).to_wire()


def of_workload(e: WorkloadError, limits: str = "") -> RolloutFailed:
    """Why a container could not be brought up. ``limits`` were asked for with it: an engine may not say which it refused."""
    if isinstance(e, NotFetched):
        return RolloutFailed(e.failure, **e.params)
    if isinstance(e, ReleaseUnusable):
        return RolloutFailed(FailureCode.IMAGE_UNUSABLE, detail=one_line(str(e)))
    if isinstance(e, Unreachable):
        return RolloutFailed(FailureCode.ENGINE_FAILED, detail=f"no answer ({e})")
    return RolloutFailed(FailureCode.ENGINE_FAILED, detail=f"{str(e)[:400]} ({limits})" if limits else str(e)[:400])


def one_line(words: str) -> str:
    """The words as a message may quote them."""
    return " ".join(words.split())[:QUOTED]
