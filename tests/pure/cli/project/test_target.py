from __future__ import annotations

from datetime import UTC, datetime

import pytest

from funai.cli.project.target import Guess, by_name, from_git_remotes, from_link, from_remote_url, render_link
from funai.contracts.accounts import App
from funai.contracts.states import AppStatus


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://git@127.0.0.1:2222/funai/u7-app12.git", Guess(12, 7)),
        ("ssh://git@git.example.com/funai/u7-app12", Guess(12, 7)),
        ("git@git.example.com:funai/u1-app2.git", Guess(2, 1)),
        ("git@git.example.com:u1-app2.git", Guess(2, 1)),
        ("https://example.com/funai/u1-app2.git/", Guess(2, 1)),
        ("https://example.com/me/my-u1-app2.git", None),
        ("https://example.com/me/u1-app2-fork.git", None),
        ("https://example.com/u0-app2.git", None),
        ("", None),
    ],
)
def test_an_apps_repository_is_told_by_its_address(url: str, expected: Guess | None) -> None:
    assert from_remote_url(url) == expected


def test_the_funai_remote_wins_over_origin_and_others() -> None:
    listing = "remote.origin.url ssh://git@h/funai/u1-app1.git\nremote.funai.url ssh://git@h/funai/u1-app2.git\nremote.x.url z"
    assert from_git_remotes(listing) == Guess(2, 1)
    assert from_git_remotes(listing.splitlines()[0]) == Guess(1, 1)


def test_two_unknown_remotes_are_no_answer() -> None:
    assert from_git_remotes("remote.a.url ssh://git@h/funai/u1-app1.git\nremote.b.url ssh://git@h/funai/u1-app2.git") is None
    assert from_git_remotes("remote.prod.url ssh://git@h/funai/u1-app1.git") == Guess(1, 1)
    assert from_git_remotes("") is None


def test_a_link_survives_its_round_trip() -> None:
    assert from_link(render_link(12)) == Guess(12)
    assert from_link("app = x") is None


def app(app_id: int, name: str) -> App:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return App(id=app_id, user_id=1, app_name=name, app_status=AppStatus.CREATED, created_at=now, updated_at=now)


def test_an_exact_name_wins_over_another_case() -> None:
    apps = [app(1, "Shop"), app(2, "shop"), app(3, "other")]
    assert [a.id for a in by_name(apps, "shop")] == [2]
    assert [a.id for a in by_name(apps, "SHOP")] == [1, 2]
    assert by_name(apps, "none") == []
