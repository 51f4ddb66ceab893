"""Every reason speaks both languages."""

from __future__ import annotations

import string

from funai.contracts.errors import BadInput, Conflict, error_for
from funai.i18n.reasons import MESSAGES, Words, render


def test_both_languages_have_the_same_placeholders() -> None:
    for reason, (zh, en) in MESSAGES.items():
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (zh, en)]
        assert fields[0] == fields[1], reason
        assert zh != en, reason


def test_words_follow_the_language() -> None:
    e = BadInput("BAD_INPUT", detail=Words("端口", "port"))
    assert "端口" in e.message("zh") and e.message("en") == "bad request: port"


def test_a_missing_parameter_shows_as_its_name() -> None:
    assert render("QUOTA_APPS", "en", {}) == "at most <limit> apps per user; delete one first"


def test_a_remote_refusal_keeps_its_class_and_words() -> None:
    e = error_for(409, "LEASE_LOST", "lease lost")
    assert isinstance(e, Conflict) and (e.reason, e.message("zh")) == ("LEASE_LOST", "lease lost")
    assert error_for(418, "TEAPOT", "no").code == 418
