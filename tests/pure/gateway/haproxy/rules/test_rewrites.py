"""The arithmetic behind the cookie rules (what they do is tested on a real HAProxy)."""

from __future__ import annotations

from funai.contracts.naming import base_path
from funai.contracts.wire import MAX_ID
from funai.gateway.haproxy.rules import rewrites
from funai.gateway.haproxy.rules.sections import BUFFER, REWRITE


def test_rewritten_heads_always_fit_the_room_kept_for_them() -> None:
    """Should this not hold, HAProxy 2.6 would compact its buffer in mid-rule and hand out foreign memory."""
    growth = len(f"{base_path(MAX_ID)}|{base_path(MAX_ID)}|########|")
    assert rewrites.REWRITABLE_HEAD + rewrites.REWRITABLE_COOKIES * growth <= REWRITE
    assert rewrites.REWRITABLE_HEAD <= BUFFER - REWRITE  # more never arrives
    assert REWRITE <= BUFFER // 2  # HAProxy takes no more


def test_only_the_first_rule_makes_a_cookie_longer() -> None:
    first, *rest = [line for line in rewrites.response_headers("x") if "Set-Cookie" in line and line.endswith(" in_base")]
    assert "%[var(txn.base)]" in first
    assert not any("%[" in line for line in rest)
