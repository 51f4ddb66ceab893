"""Why a job failed: one exception with a code, whose fault it is, and the lines that matter first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from funai.base.clients.transport import AgentRefused
from funai.contracts.agent import DeployFailure
from funai.contracts.errors import BadInput, FunaiError
from funai.contracts.jobs import MAX_TEXT, Failure
from funai.contracts.reasons import FailureCode, Reason
from funai.i18n.reasons import Words, render

KEPT_LINES = 20
LINE_WIDTH = 500
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_AGENT_CODES: dict[str, FailureCode] = {c.value: c for c in FailureCode} | {
    Reason.STALE_GENERATION: FailureCode.STALE_GENERATION,
    "IMAGE_PULL_FAILED": FailureCode.IMAGE_NOT_FOUND,
}


class JobFailed(Exception):
    """The job ends as FAILED. ``lines`` are another program's last words, shown below the message."""

    def __init__(
        self,
        code: FailureCode,
        /,
        lines: Sequence[str] = (),
        *,
        message: str | None = None,
        again: bool = True,
        **params: object,
    ) -> None:
        self.again = again
        """Whether it may be otherwise in a moment."""
        self.code = code
        self.lines = list(lines)
        self.params = params
        self.text = message
        super().__init__(self.error_message())

    @property
    def failure(self) -> Failure:
        return Failure(code=self.code, blame=self.code.blame)

    def error_message(self, mask: Callable[[str], str] = str) -> str:
        """Chinese, then English, then the last lines; at most MAX_TEXT characters.

        ``mask`` takes secrets out before anything is cut: half a secret is one that it doesn't know.
        """
        zh, en = (render(self.code.message, language, self.params) for language in ("zh", "en"))
        head = self.text if self.text is not None else f"{zh}\n{en}"
        lines = [mask(head)[:MAX_TEXT], *(_narrow(mask(line)) for line in self.lines)]
        while len(lines) > 2 and sum(map(len, lines)) + len(lines) > MAX_TEXT:
            # The last lines have the reason; in brackets the first ones are ours.
            del lines[next((n for n, line in enumerate(lines[1:-1], 1) if not line.startswith("[")), 1)]
        return "\n".join(lines)[:MAX_TEXT]


class WorkRefused(Exception):
    """The job must stop at once and report nothing: cancelled, or another attempt holds the job."""


def _narrow(line: str) -> str:
    """Both ends of a long line: an engine quotes the whole step before it says what became of it."""
    return line if len(line) <= LINE_WIDTH else f"{line[: LINE_WIDTH // 2]} … {line[3 - LINE_WIDTH // 2 :]}"


def last_lines(output: str, count: int = KEPT_LINES) -> list[str]:
    """The last lines with something in them, without colours and control characters."""
    clean = (_CONTROL.sub("", _ANSI.sub("", line.rpartition("\r")[2] or line)).rstrip() for line in output.split("\n"))
    return [line for line in clean if line][-count:]


def agent_failure(error: FunaiError) -> DeployFailure | None:
    """The failure object in an agent's refusal; None for a plain text."""
    detail: object = error.detail if isinstance(error, AgentRefused) else None
    try:
        return DeployFailure.model_validate({"message": "", **detail}) if isinstance(detail, dict) else None  # pyright: ignore[reportUnknownArgumentType]
    except ValidationError:
        return None


def from_agent(error: FunaiError) -> JobFailed:
    """The agent's refusal of a roll-out: its own code when it gave one, its container's last lines when it has them."""
    if failure := agent_failure(error):
        code = _AGENT_CODES.get(failure.code, FailureCode.APP_UNHEALTHY if error.code == 422 else FailureCode.INTERNAL)
        return JobFailed(code, last_lines("\n".join(failure.log_tail)), message=failure.message or None)
    if error.reason == Reason.STALE_GENERATION:
        return JobFailed(FailureCode.STALE_GENERATION)
    if error.reason == Reason.ROLLOUT_INTERRUPTED:
        return JobFailed(
            FailureCode.STALE_GENERATION,
            message="\n".join(render(Reason.ROLLOUT_INTERRUPTED, word, {}) for word in ("zh", "en")),
        )
    code = FailureCode.APP_UNHEALTHY if error.code == 422 else FailureCode.AGENT_UNREACHABLE
    return JobFailed(code, message=str(error) or None, detail=str(error))


def invalid(error: BadInput) -> JobFailed:
    """A refusal of the contract's rules as the job's failure; the reason's own words in both languages."""
    zh, en = error.message("zh"), error.message("en")
    if error.reason == Reason.BAD_INPUT and isinstance(words := error.params.get("detail"), Words):
        zh, en = words.zh, words.en
    return JobFailed(FailureCode.CONTRACT_INVALID, detail=Words(zh, en))
