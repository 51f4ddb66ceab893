"""What a person sees of a deploy: phases with their times, computed from what the job says. Pure: the clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

PHASES = ("QUEUED", "CLONE", "BUILD", "PUSH", "DEPLOY")


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    """Passed over: a prebuilt image needs no clone, a known commit no build."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at the job showed."""

    status: str
    phase: str | None = None
    message: str | None = None
    queue_position: int | None = None
    reason: str | None = None
    attempt: int | None = None
    phases_ms: Mapping[str, int] | None = None

    @property
    def final(self) -> bool:
        return self.status in ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass(slots=True)
class Step:
    """One phase. ``seconds`` is set once it ended; ``began`` is on the caller's clock."""

    name: str
    state: StepState = StepState.WAITING
    began: float | None = None
    seconds: float | None = None
    note: str = ""

    def elapsed(self, now: float) -> float | None:
        if self.seconds is not None:
            return self.seconds
        return None if self.began is None else max(0.0, now - self.began)


@dataclass(frozen=True, slots=True)
class Change:
    """Something to tell: a phase ``started``, ``finished`` or ``failed``, a ``queue`` that moved, a new ``attempt``."""

    kind: str
    phase: str
    seconds: float | None = None
    note: str = ""


class Progress:
    """Feed it looks at the job in order; ask it for its steps at any time."""

    def __init__(self, now: float) -> None:
        self.began = now
        self.steps = {name: Step(name) for name in PHASES}
        self.current = self.steps["QUEUED"]
        self.current.state, self.current.began = StepState.RUNNING, now
        self.attempt: int | None = None
        self.ended: float | None = None

    def elapsed(self, now: float) -> float:
        return (self.ended if self.ended is not None else now) - self.began

    def observe(self, seen: Snapshot, now: float) -> list[Change]:
        """What changed with this look. After a final one nothing changes any more."""
        if self.ended is not None:
            return []
        changes: list[Change] = []
        if seen.attempt and self.attempt and seen.attempt > self.attempt:
            self._restart(now)
            changes.append(Change("attempt", "QUEUED", note=str(seen.attempt)))
        self.attempt = seen.attempt or self.attempt
        if seen.final:
            return [*changes, *self._end(seen, now)]
        if seen.status == "PENDING":
            return [*changes, *self._queued(seen, now)]
        target = seen.phase if seen.phase in self.steps else None
        if target is not None:
            changes += self._advance(target, now)
        elif self.current.name == "QUEUED":
            changes += self._finish(self.current, StepState.DONE, now)
        self.current.note = seen.message or ""
        return changes

    def _queued(self, seen: Snapshot, now: float) -> list[Change]:
        if self.current.name != "QUEUED":
            self._restart(now)
        note = seen.reason or (str(seen.queue_position) if seen.queue_position else "")
        if note == self.current.note:
            return []
        self.current.note = note
        return [Change("queue", "QUEUED", note=note)]

    def _advance(self, phase: str, now: float) -> list[Change]:
        """Go forward to ``phase``; a look that comes late and names an earlier one changes nothing."""
        order = PHASES.index(phase)
        if phase == self.current.name or order < PHASES.index(self.current.name):
            return []
        changes = self._finish(self.current, StepState.DONE, now)
        for name in PHASES[PHASES.index(self.current.name) + 1 : order]:
            self.steps[name].state = StepState.SKIPPED
        self.current = self.steps[phase]
        self.current.state, self.current.began = StepState.RUNNING, now
        return [*changes, Change("started", phase)]

    def _finish(self, step: Step, state: StepState, now: float) -> list[Change]:
        if step.state is not StepState.RUNNING:
            return []
        step.seconds, step.state, step.note = step.elapsed(now), state, ""
        return [Change("failed" if state is StepState.FAILED else "finished", step.name, step.seconds)]

    def _end(self, seen: Snapshot, now: float) -> list[Change]:
        self.ended = now
        good = seen.status == "SUCCEEDED"
        if good and seen.phases_ms:
            return self._measured(seen.phases_ms)
        changes = [] if good or seen.phase not in self.steps else self._advance(str(seen.phase), now)
        changes += self._finish(self.current, StepState.DONE if good else StepState.FAILED, now)
        for step in self.steps.values():
            if step.state is StepState.WAITING:
                step.state = StepState.SKIPPED
        return changes

    def _measured(self, phases_ms: Mapping[str, int]) -> list[Change]:
        """The runner's own measurements win over what was seen from here; phases too short to be seen are printed now."""
        took = {name.upper(): ms / 1000 for name, ms in phases_ms.items()}
        changes: list[Change] = []
        for step in self.steps.values():
            told = step.state is StepState.DONE
            if step.name == "QUEUED":
                changes += self._finish(step, StepState.DONE, self.ended or 0)
            elif step.name in took:
                step.state, step.seconds, step.note = StepState.DONE, took[step.name], ""
                changes += [] if told else [Change("finished", step.name, step.seconds)]
            elif step.state is StepState.RUNNING:
                changes += self._finish(step, StepState.DONE, self.ended or 0)
            elif not told:
                step.state = StepState.SKIPPED
        return changes

    def _restart(self, now: float) -> None:
        for name in PHASES:
            self.steps[name] = Step(name)
        self.current = self.steps["QUEUED"]
        self.current.state, self.current.began = StepState.RUNNING, now
