"""Every reason speaks both languages."""

from __future__ import annotations

import string

from funai.contracts.errors import BadInput, Conflict, error_for
from funai.contracts.reasons import DomainTrouble, FailureCode, Reason, WaitReason
from funai.i18n.reasons import MESSAGES, Words, render


def test_every_reason_has_a_message_and_every_message_a_reason() -> None:
    assert MESSAGES.keys() == set(Reason)
    assert all(isinstance(word, Reason) and all(texts) for word, texts in MESSAGES.items())


def test_a_reason_is_spelled_on_the_wire_as_in_the_code() -> None:
    assert [word.name for word in (*Reason, *FailureCode) if word.name != word.value] == []


def test_every_failure_has_a_sentence_and_the_narrower_enums_are_reasons() -> None:
    assert {code.message for code in FailureCode} <= set(Reason)
    assert {str(word) for enum in (WaitReason, DomainTrouble) for word in enum} <= set(Reason)


def test_both_languages_have_the_same_placeholders() -> None:
    for reason, (zh, en) in MESSAGES.items():
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (zh, en)]
        assert fields[0] == fields[1], reason
        assert zh != en, reason


def test_words_follow_the_language() -> None:
    e = BadInput(detail=Words("端口", "port"))
    assert "端口" in e.message("zh") and e.message("en") == "bad request: port"


def test_a_missing_parameter_shows_as_its_name() -> None:
    assert render(Reason.QUOTA_APPS, "en", {}) == "at most <limit> apps per user; delete one first"


def test_a_remote_refusal_keeps_its_class_and_words() -> None:
    e = error_for(409, "LEASE_LOST", "lease lost")
    assert isinstance(e, Conflict) and (e.reason, e.message("zh")) == ("LEASE_LOST", "lease lost")
    assert error_for(418, "TEAPOT", "no").code == 418
