"""What an operator watches of an agent, for Prometheus. No label is an app's id: the gateway counts by app."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from funai.agent.reconcile.crashes import Crashes
from funai.agent.workload.contract import AppView, Phase, Role
from funai.contracts.errors import FunaiError
from funai.contracts.reasons import FailureCode

STEPS = ("pull", "start", "healthy", "switch", "commit")
STEP_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)
SUCCEEDED, FAILED, REFUSED, INTERRUPTED = "succeeded", "failed", "refused", "interrupted"
"""``refused``: nothing was begun (409, 400). ``interrupted``: a stop, a delete, or a caller that hung up ended it."""
_AGENTS_CODES = (
    FailureCode.APP_EXITED,
    FailureCode.APP_OUT_OF_MEMORY,
    FailureCode.APP_NOT_LISTENING,
    FailureCode.APP_UNHEALTHY,
    FailureCode.APP_SPEAKS_HTTP2,
    FailureCode.IMAGE_NOT_FOUND,
    FailureCode.IMAGE_UNUSABLE,
    FailureCode.REGISTRY_AUTH,
    FailureCode.REGISTRY_UNREACHABLE,
    FailureCode.GATEWAY_FAILED,
    FailureCode.ENGINE_FAILED,
)


class AgentMetrics:
    """One an agent, in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rollouts = Counter(
            "funai_agent_rollouts_total",
            "Rollouts by how they ended, with the reason",
            ["outcome", "reason"],
            registry=registry,
        )
        self.steps = Histogram(
            "funai_agent_rollout_step_seconds", "Time of a rollout's steps", ["step"], buckets=STEP_BUCKETS, registry=registry
        )
        self.rollout_seconds = Histogram(
            "funai_agent_rollout_seconds", "Whole time of rollouts", ["outcome"], buckets=STEP_BUCKETS, registry=registry
        )
        self.containers = Gauge(
            "funai_agent_containers", "App containers at the latest sweep", ["role", "state"], registry=registry
        )
        self.ends = Counter("funai_agent_app_ends_total", "Ends of live containers that nobody asked for", registry=registry)
        self.loops = Counter("funai_agent_crash_loops_total", "Apps that began to crash-loop", registry=registry)
        self.looping = Gauge("funai_agent_crash_looping_apps", "Apps that crash-loop now", registry=registry)
        self.drains = Histogram(
            "funai_agent_drain_seconds",
            "How long replaced containers were drained",
            ["outcome"],
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        self.switches = Counter(
            "funai_agent_gateway_switches_total", "Routes told to the gateway", ["outcome"], registry=registry
        )
        self.images_removed = Counter(
            "funai_agent_images_removed_total", "Images of earlier releases that were removed", ["reason"], registry=registry
        )
        self._counted = (0, 0)
        self._show_at_once()

    def _show_at_once(self) -> None:
        """A series that exists from the start shows its first increase."""
        self.rollouts.labels(SUCCEEDED, "")
        for code in _AGENTS_CODES:
            self.rollouts.labels(FAILED, code.value)
        for step in STEPS:
            self.steps.labels(step)
        for why in ("superseded", "disk"):
            self.images_removed.labels(why)
        for outcome in ("drained", "timed_out"):
            self.drains.labels(outcome)
        for outcome in ("done", "failed"):
            self.switches.labels(outcome)

    @contextmanager
    def rollout(self, marks: Mapping[str, int]) -> Iterator[None]:
        """Counts what happens inside as one rollout; ``marks`` are its steps' milliseconds as they are at its end."""
        began, outcome, reason = time.monotonic(), SUCCEEDED, ""
        try:
            yield
        except asyncio.CancelledError:
            outcome = INTERRUPTED
            raise
        except FunaiError as e:
            outcome, reason = (REFUSED if e.code in (400, 409) else FAILED), e.reason
            raise
        except BaseException:
            outcome, reason = FAILED, FailureCode.INTERNAL.value
            raise
        finally:
            self.rollouts.labels(outcome, reason).inc()
            self.rollout_seconds.labels(outcome).observe(time.monotonic() - began)
            for step, ms in marks.items():
                self.steps.labels(step).observe(ms / 1000)

    @contextmanager
    def switch(self) -> Iterator[None]:
        """Counts what happens inside as one change sent to the gateway."""
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self.switches.labels(outcome).inc()

    def drained(self, seconds: float, *, in_time: bool) -> None:
        self.drains.labels("drained" if in_time else "timed_out").observe(seconds)

    def saw(self, apps: Collection[AppView], crashes: Crashes) -> None:
        """All containers, as one sweep found them, and what it knows of their ends."""
        ends, loops = self._counted
        self.ends.inc(crashes.ends - ends)
        self.loops.inc(crashes.loops - loops)
        self._counted = crashes.ends, crashes.loops
        self.looping.set(len(crashes.looping))
        counts = dict.fromkeys(product(Role, Phase), 0)
        for app in apps:
            named = ((Role.LIVE, (app.live,)), (Role.STOPPED, (app.stopped,)))
            for role, boxes in (*named, (Role.CANDIDATE, app.candidates), (Role.RETIRED, app.retired)):
                for box in boxes:
                    if box:
                        counts[role, box.phase] += 1
        for (role, phase), number in counts.items():
            self.containers.labels(role.value, phase.value).set(number)
