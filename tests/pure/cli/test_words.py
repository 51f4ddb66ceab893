"""Every hint and phrase exists in both languages, with the same placeholders, and is about something that can happen."""

from __future__ import annotations

import string

import pytest

from funai.cli.blame import in_language
from funai.contracts.errors import Conflict
from funai.contracts.reasons import FailureCode
from funai.i18n.cli import PHRASES, phrase
from funai.i18n.hints import HINTS, hint
from funai.i18n.language import pick
from funai.i18n.reasons import MESSAGES


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", [*HINTS, *PHRASES])
def test_both_languages_say_it_with_the_same_facts(name: str) -> None:
    for book in (HINTS, PHRASES):
        if name in book:
            zh, en = book[name]
            assert zh
            assert en
            assert fields(zh) == fields(en)


def test_a_hint_belongs_to_a_reason_that_exists() -> None:
    assert set(HINTS) - set(MESSAGES) - set(FailureCode.__members__) - {"UNREACHABLE"} == set()


def test_every_failure_that_is_the_users_has_a_hint() -> None:
    assert [c for c in FailureCode if c.blame == "user" and c not in HINTS] == []


def test_a_hint_names_what_the_verb_knows_and_falls_back_to_a_word() -> None:
    assert hint("APP_NEVER_DEPLOYED", "en", {"app": 7}) == "deploy it first: funai deploy 7"
    assert hint("APP_NEVER_DEPLOYED", "zh", {}) == "先运行 funai deploy APP"


def test_an_unknown_reason_is_advised_by_its_status() -> None:
    assert hint("SOMETHING_NEW", "en", {}, code=401) == "run: funai login"
    assert hint("SOMETHING_NEW", "en", {}, code=500) is None
    assert hint(None, "en", {}) is None


def test_a_phrase_in_the_persons_language() -> None:
    assert phrase("logged_out", "zh", server="s") == "已退出 s"
    assert phrase("logged_out", "en", server="s") == "logged out of s"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "de_DE"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "FUNAI_LANG": "en"}, "en"),
        ({"LANG": "en_GB", "FUNAI_LANG": "zh"}, "zh"),
    ],
)
def test_the_language_is_funai_lang_then_the_locale(environ: dict[str, str], expected: str) -> None:
    assert pick(environ) == expected


def test_a_relayed_message_is_said_again_in_the_persons_language() -> None:
    relayed = Conflict("APP_NOT_RUNNING", text="应用未在运行")
    assert in_language(relayed, "en") == "the app is not running"
    assert in_language(relayed, "zh") == "应用未在运行"
    assert in_language(Conflict("QUOTA_APPS", text="limit 3"), "en") == "limit 3"
    assert in_language(Conflict("APP_NOT_RUNNING", text="special words"), "en") == "special words"
    assert in_language(Conflict("NEWER_REASON", text="new words"), "en") == "new words"
