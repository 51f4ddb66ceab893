from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funai.cli.output.progress import PHASES, Change, Progress, Snapshot, StepState


def running(phase: str | None, **more: object) -> Snapshot:
    return Snapshot("RUNNING", phase, **more)  # type: ignore[arg-type]


def states(progress: Progress) -> dict[str, str]:
    return {name: str(step.state) for name, step in progress.steps.items()}


def test_a_build_passes_through_its_phases_with_their_times() -> None:
    p = Progress(100.0)
    assert p.observe(Snapshot("PENDING", queue_position=3), 100.0) == [Change("queue", "QUEUED", note="3")]
    assert p.observe(Snapshot("PENDING", queue_position=3), 101.0) == []
    assert p.observe(running("CLONE"), 102.0) == [Change("finished", "QUEUED", 2.0), Change("started", "CLONE")]
    assert p.observe(running("BUILD", message="step 2"), 103.0) == [
        Change("finished", "CLONE", 1.0),
        Change("started", "BUILD"),
    ]
    assert p.steps["BUILD"].note == "step 2"
    assert p.steps["BUILD"].elapsed(108.0) == 5.0
    assert p.observe(running("PUSH"), 110.0) == [Change("finished", "BUILD", 7.0), Change("started", "PUSH")]
    assert p.observe(running("DEPLOY"), 111.0) == [Change("finished", "PUSH", 1.0), Change("started", "DEPLOY")]
    assert p.observe(Snapshot("SUCCEEDED", "DEPLOY"), 112.5) == [Change("finished", "DEPLOY", 1.5)]
    assert p.elapsed(500.0) == 12.5
    assert set(states(p).values()) == {"done"}


def test_a_prebuilt_image_skips_to_the_deploy() -> None:
    p = Progress(0.0)
    p.observe(running("DEPLOY"), 1.0)
    assert states(p) == {"QUEUED": "done", "CLONE": "skipped", "BUILD": "skipped", "PUSH": "skipped", "DEPLOY": "running"}


def test_a_claimed_job_without_a_phase_is_no_longer_queued() -> None:
    p = Progress(0.0)
    assert p.observe(running(None), 2.0) == [Change("finished", "QUEUED", 2.0)]
    assert p.observe(running("CLONE"), 3.0) == [Change("started", "CLONE")]


def test_the_runners_own_times_win_and_tell_phases_that_were_too_short_to_see() -> None:
    p = Progress(0.0)
    p.observe(running("CLONE"), 0.5)
    took = {"CLONE": 40, "BUILD": 900, "PUSH": 90, "DEPLOY": 300}
    told = p.observe(Snapshot("SUCCEEDED", "DEPLOY", phases_ms=took), 2.0)
    assert [(c.kind, c.phase, c.seconds) for c in told] == [
        ("finished", "CLONE", 0.04),
        ("finished", "BUILD", 0.9),
        ("finished", "PUSH", 0.09),
        ("finished", "DEPLOY", 0.3),
    ]


def test_a_failure_marks_the_phase_it_happened_in() -> None:
    p = Progress(0.0)
    p.observe(running("CLONE"), 1.0)
    told = p.observe(Snapshot("FAILED", "BUILD"), 3.0)
    assert told == [Change("finished", "CLONE", 2.0), Change("started", "BUILD"), Change("failed", "BUILD", 0.0)]
    assert states(p)["PUSH"] == "skipped"


def test_a_rescued_job_starts_over_and_says_so() -> None:
    p = Progress(0.0)
    p.observe(running("BUILD", attempt=1), 1.0)
    told = p.observe(Snapshot("PENDING", attempt=2, queue_position=1), 9.0)
    assert told == [Change("attempt", "QUEUED", note="2"), Change("queue", "QUEUED", note="1")]
    assert states(p) == {name: "running" if name == "QUEUED" else "waiting" for name in PHASES}


def test_a_waiting_reason_is_shown_instead_of_a_place_in_the_queue() -> None:
    p = Progress(0.0)
    told = p.observe(Snapshot("PENDING", queue_position=1, reason="NO_RUNTIME_NODE"), 1.0)
    assert told == [Change("queue", "QUEUED", note="NO_RUNTIME_NODE")]


def test_after_the_end_nothing_changes() -> None:
    p = Progress(0.0)
    p.observe(Snapshot("CANCELLED"), 1.0)
    assert p.observe(running("BUILD"), 2.0) == []


LOOKS = st.builds(
    Snapshot,
    status=st.sampled_from(["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]),
    phase=st.sampled_from([None, "CLONE", "BUILD", "PUSH", "DEPLOY", "NEWER"]),
    queue_position=st.none() | st.integers(1, 9),
    attempt=st.none() | st.integers(1, 4),
    phases_ms=st.none() | st.dictionaries(st.sampled_from(["CLONE", "BUILD", "clone", "OTHER"]), st.integers(0, 9_000)),
)


@given(st.lists(st.tuples(LOOKS, st.floats(0, 10)), max_size=12))
def test_whatever_a_job_says_times_are_never_negative_and_at_most_one_phase_runs(looks: list[tuple[Snapshot, float]]) -> None:
    now, ended = 50.0, False
    p = Progress(now)
    for seen, pause in looks:
        now += pause
        for change in p.observe(seen, now):
            assert change.seconds is None or change.seconds >= 0
        assert sum(s.state is StepState.RUNNING for s in p.steps.values()) <= 1
        ended = ended or seen.final
        assert (p.ended is not None) == ended
