"""Redirects, form tokens, vendored files."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.console import assets
from funai.console.security import check_form_token, content_policy, form_token, local_path
from funai.contracts.errors import Forbidden


@pytest.mark.parametrize("path", ["/", "/apps", "/users/1/apps/2?tail=5", "/a//b"])
def test_local_path_keeps_the_consoles_own(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "apps",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nSet-Cookie: x",
        "/\t/evil.example",
        "/a\\b",
        "javascript:alert(1)",
        "\x00/",
        "/ /evil.example",
    ],
)
def test_local_path_refuses_everything_else(path: str | None) -> None:
    assert local_path(path) == "/"


@given(st.text(max_size=40))
def test_local_path_never_leaves_the_console(path: str) -> None:
    kept = local_path(path)
    assert kept.startswith("/")
    assert not kept.startswith(("//", "/\\"))


def test_form_token_belongs_to_one_session() -> None:
    check_form_token("a" * 40, form_token("a" * 40))
    for given_token in ("", form_token("b" * 40), "ü"):
        with pytest.raises(Forbidden):
            check_form_token("a" * 40, given_token)


def test_policy_allows_nothing_inline() -> None:
    policy = content_policy("n0nce")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


def test_vendored_files_are_the_listed_ones_unchanged() -> None:
    folder = assets.STATIC / "vendor"
    listed = assets.vendored()
    for entry in listed:
        assert hashlib.sha256((folder / entry.file).read_bytes()).hexdigest() == entry.sha256, entry.file
    assert {e.file for e in listed} | {"vendor.toml"} == {p.name for p in folder.iterdir()}


def test_served_files_are_only_those_of_the_static_folder() -> None:
    assert assets.serve("x", "../main.py").status_code == 404
    assert assets.serve("x", "vendor/vendor.toml").status_code == 404
    kept = assets.serve(assets.content_mark(), "console.css")
    assert kept.headers["cache-control"] == assets.FOREVER
    assert assets.serve("old", "console.css").headers["cache-control"] == "no-cache"
