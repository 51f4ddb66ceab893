"""Shell patterns match what they mean, compared with a search of every way to read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.dockerfile.wildcards import MAX_PATTERN, MAX_TEXT, TooLong, Wildcards, path_pattern

PATTERNS = st.text("ab*?", max_size=7)
TEXTS = st.text("abc", max_size=9)


def _reference(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


@given(PATTERNS, TEXTS, st.booleans())
def test_prefix_is_the_shortest_or_longest_that_matches(pattern: str, text: str, longest: bool) -> None:
    lengths = [n for n in range(len(text) + 1) if _reference(pattern).fullmatch(text[:n])]
    wanted = (max(lengths) if longest else min(lengths)) if lengths else None
    assert Wildcards(pattern).prefix(text, longest=longest) == wanted


@given(PATTERNS, TEXTS, st.booleans())
def test_suffix_is_the_shortest_or_longest_that_matches(pattern: str, text: str, longest: bool) -> None:
    lengths = [n for n in range(len(text) + 1) if _reference(pattern).fullmatch(text[len(text) - n :])]
    wanted = (max(lengths) if longest else min(lengths)) if lengths else None
    assert Wildcards(pattern).suffix(text, longest=longest) == wanted


@given(st.text("ab*?", min_size=1, max_size=7), TEXTS)
def test_replaced_is_the_first_beginning_and_the_longest_end(pattern: str, text: str) -> None:
    spans = [
        (i, j) for i in range(len(text) + 1) for j in range(len(text), i - 1, -1) if _reference(pattern).fullmatch(text[i:j])
    ]
    wanted = text if not spans else text[: spans[0][0]] + "<x>" + text[spans[0][1] :]
    assert Wildcards(pattern).replaced(text, "<x>", every=False) == wanted


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("a", "banana", "b-n-n-"),
        ("a*n", "banana", "b-a"),
        ("*", "abc", "-"),
        ("*", "", "-"),
        ("x", "abc", "abc"),
        (r"\*", "a*b*", "a-b-"),
    ],
)
def test_replaced_of_every_match(pattern: str, text: str, wanted: str) -> None:
    assert Wildcards(pattern).replaced(text, "-", every=True) == wanted


@pytest.mark.parametrize(
    ("glob", "matches", "others"),
    [
        ("apps/*", ["apps/a", "apps/a.b"], ["apps", "apps/a/b", "xapps/a"]),
        ("./lib/**/", ["lib/a", "lib/a/b/c"], ["lib", "other/a"]),
        ("**/web", ["a/web", "a/b/web"], ["web", "a/web/b", "a/xweb"]),
        ("a/**/b/**/c", ["a/x/b/x/c", "a/b/b/c/c/c", "a/x/xb/b/y/c"], ["a/b/c", "a/x/b/c", "a/x/bb/y/c"]),
        ("**/**", ["a/b", "a/b/c"], ["a"]),
        ("p-*-x*y", ["p-a-xy", "p--x-x-yy"], ["p-a-x", "p-a-xy/b"]),
        ("a+b", ["a+b"], ["aab"]),
    ],
)
def test_path_pattern_matches_folders(glob: str, matches: list[str], others: list[str]) -> None:
    found = path_pattern(glob)
    assert [p for p in [*matches, *others] if found.fullmatch(p)] == matches


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(TooLong):
        Wildcards("a" * (MAX_PATTERN + 1))
    with pytest.raises(TooLong):
        path_pattern("a" * (MAX_PATTERN + 1))
    for use in (Wildcards("a").prefix, Wildcards("a").suffix):
        with pytest.raises(TooLong):
            use("a" * (MAX_TEXT + 1), longest=True)
    with pytest.raises(TooLong):
        Wildcards("a").replaced("a" * (MAX_TEXT + 1), "", every=True)
