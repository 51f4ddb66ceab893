"""Push events: only signed ones count, and only those of a person's commits to a branch."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from funai.api.repos.gitea import TEMPLATE_MESSAGE
from funai.api.repos.pushes import pushed_repo, signed
from funai.contracts.errors import BadInput

SECRET = "s" * 16
PUSH = {"x-gitea-event": "push"}


def event(**changes: Any) -> bytes:
    base = {
        "ref": "refs/heads/main",
        "before": "0" * 40,
        "after": "a" * 40,
        "commits": [{"message": "first\n"}],
        "repository": {"full_name": "funai/u1-app2"},
    }
    return json.dumps({**base, **changes}).encode()


@pytest.mark.parametrize("header", ["x-gitea-signature", "x-forgejo-signature"])
def test_signature_holds_for_the_whole_body_alone(header: str) -> None:
    body = event()
    good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert signed(SECRET, body, {header: good})
    assert not signed(SECRET, body + b" ", {header: good})
    assert not signed("t" * 16, body, {header: good})
    assert not signed(SECRET, body, {header: "é"})
    assert not signed(SECRET, body, {})


def test_wrong_forgejo_signature_is_not_made_good_by_the_other() -> None:
    body = event()
    good = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert not signed(SECRET, body, {"x-forgejo-signature": "0" * 64, "x-gitea-signature": good})


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({}, {"x-gitea-event": "create"}),
        ({}, {}),
        ({"ref": "refs/tags/v1"}, PUSH),
        ({"after": "0" * 40}, PUSH),
        ({"after": None}, PUSH),
        ({"commits": [{"message": TEMPLATE_MESSAGE + "\n"}] * 2}, PUSH),
        ({"repository": None}, PUSH),
        ({"repository": {"full_name": 3}}, PUSH),
    ],
)
def test_events_that_are_no_push_of_the_owner_name_no_repository(changes: dict[str, Any], headers: dict[str, str]) -> None:
    assert pushed_repo(event(**changes), headers) is None


@pytest.mark.parametrize(
    "commits", [[{"message": "first"}], [], None, [{"message": TEMPLATE_MESSAGE}, {"message": "mine"}], [3]]
)
def test_push_of_commits_names_its_repository(commits: object) -> None:
    assert pushed_repo(event(commits=commits), PUSH) == "funai/u1-app2"
    assert pushed_repo(event(commits=commits), {"x-forgejo-event": "push", "x-gitea-event": "push"}) == "funai/u1-app2"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{"])
def test_push_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        pushed_repo(body, PUSH)
