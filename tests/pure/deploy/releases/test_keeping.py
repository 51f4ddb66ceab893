"""Which releases and manifests are kept, as functions of values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from funai.base.clients.registry.contract import Artifact
from funai.contracts.jobs import Payload
from funai.deploy.releases.keeping import Needed, made_here, plan, spare_children, to_retire
from funai.runner.build.plan import inputs_hash

COMMIT = "0123456789abcdef0123456789abcdef01234567"
A, B, C, D = (f"sha256:{c * 64}" for c in "abcd")


def test_the_last_three_and_what_is_live_are_kept() -> None:
    assert to_retire([1, 2, 3], 3, 3) == []
    assert to_retire([1, 2, 3, 4, 5], 3, 5) == [2, 1]
    assert to_retire([1, 2, 3, 4, 5], 3, 1) == [2]
    assert to_retire([5, 9, 7, 8], 3, None) == [5]


@given(st.sets(st.integers(1, 1000)), st.integers(1, 10), st.none() | st.integers(1, 1000))
def test_retiring_is_exact_and_done_once(numbers: set[int], keep: int, live: int | None) -> None:
    old = set(to_retire(numbers, keep, live))
    left = numbers - old
    assert set(sorted(numbers, reverse=True)[:keep]) <= left
    assert live not in old
    assert len(left) <= keep + 1
    assert to_retire(left, keep, live) == []


def test_only_tags_that_are_commits_are_the_runners_own() -> None:
    built = f"{COMMIT}-{inputs_hash(Payload(), '')}"
    assert made_here(Artifact(A, frozenset({COMMIT}))) and made_here(Artifact(A, frozenset({COMMIT, built})))
    for tags in ((), ("latest",), (COMMIT, "latest"), (COMMIT[:12],), (COMMIT.upper(),), (f"{COMMIT}-x",)):
        assert not made_here(Artifact(A, frozenset(tags)))


def test_a_digest_that_a_kept_release_shares_stays() -> None:
    assert plan({A, B}, [], Needed({B})).delete == {A}


def test_what_a_failed_deploy_pushed_goes_what_a_person_pushed_stays() -> None:
    listed = [Artifact(A, frozenset({COMMIT})), Artifact(B, frozenset({"v1.0"})), Artifact(C)]
    made = plan({D}, listed, Needed())
    assert (made.delete, made.stay) == ({A, D}, {B, C})


def test_a_tag_is_needed_when_nobody_told_its_digest() -> None:
    listed = [Artifact(A, frozenset({"latest"}))]
    assert plan({A}, listed, Needed(tags={"latest"})).delete == frozenset()
    assert plan({A}, listed, Needed(tags={"other"})).delete == {A}


def test_a_deleted_app_loses_everything_but_what_others_run() -> None:
    listed = [Artifact(A, frozenset({"v1.0"})), Artifact(B, frozenset({"latest"})), Artifact(C)]
    made = plan(set(), listed, Needed({B}), everything=True)
    assert (made.delete, made.stay) == ({A, C}, {B})


def test_an_index_that_stays_keeps_its_children() -> None:
    assert spare_children(frozenset({A, B}), [Artifact(C, children=frozenset({B, D}))]) == {A}


_digests = st.sampled_from([A, B, C, D])
_artifacts = st.builds(
    Artifact, _digests, st.frozensets(st.sampled_from([COMMIT, "latest", "v1"])), st.frozensets(_digests, max_size=2)
)


@given(st.sets(_digests), st.lists(_artifacts, unique_by=lambda a: a.digest), st.sets(_digests), st.booleans())
def test_nothing_needed_is_ever_deleted(retired: set[str], listed: list[Artifact], needed: set[str], everything: bool) -> None:
    made = plan(retired, listed, Needed(needed), everything=everything)
    staying = [a for a in listed if a.digest in made.stay]
    doomed = spare_children(made.delete, staying)
    assert not doomed & needed
    for a in listed:
        if a.digest in needed:
            assert not doomed & a.children
    assert doomed <= retired | {a.digest for a in listed}
    assert {a.digest for a in listed} <= made.delete | made.stay
