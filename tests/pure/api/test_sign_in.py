"""Tokens, API keys, throttles, passwords' bounds, public keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncssh
import jwt
import pytest

from funai.api.accounts.callers import Caller
from funai.api.accounts.passwords import check_password
from funai.api.accounts.publickeys import parse_public_key
from funai.api.accounts.throttle import Throttle
from funai.api.accounts.tokens import TokenClaims, Tokens, hash_api_key, new_api_key
from funai.contracts.errors import BadInput, Forbidden, TooMany, Unauthenticated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "s" * 40
TOKENS = Tokens(SECRET, 60)


def test_a_token_is_good_until_it_expires() -> None:
    token = TOKENS.issue(TokenClaims(7, 2), NOW)
    assert TOKENS.read(token, NOW + timedelta(seconds=59)) == TokenClaims(7, 2)
    with pytest.raises(Unauthenticated) as expired:
        TOKENS.read(token, NOW + timedelta(seconds=60))
    assert expired.value.reason == "TOKEN_EXPIRED"


def test_forged_tokens_are_nobody() -> None:
    body = {"sub": "7", "ver": 0, "iss": "funai", "iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60}
    forged = [
        jwt.encode(body, "t" * 40, algorithm="HS256"),
        jwt.encode(body, "", algorithm="none"),
        jwt.encode({**body, "iss": "other"}, SECRET, algorithm="HS256"),
        jwt.encode({k: v for k, v in body.items() if k != "ver"}, SECRET, algorithm="HS256"),
        jwt.encode({**body, "sub": "x"}, SECRET, algorithm="HS256"),
        jwt.encode({k: v for k, v in body.items() if k != "exp"}, SECRET, algorithm="HS256"),
        TOKENS.issue(TokenClaims(7, 0), NOW)[:-3] + "abc",
        "",
        "a.b.c",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            TOKENS.read(token, NOW)


def test_api_keys_are_long_and_hashed() -> None:
    keys = {new_api_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(k.startswith("fak_") and len(k) >= 44 for k in keys)
    assert hash_api_key("fak_x") == hash_api_key("fak_x") != "fak_x"


def test_a_throttle_slides() -> None:
    throttle = Throttle(2, 10)
    throttle.take("a", 0)
    throttle.take("a", 4)
    with pytest.raises(TooMany) as refused:
        throttle.take("a", 5)
    assert refused.value.params == {"seconds": 5}
    throttle.take("b", 5)
    throttle.take("a", 10)
    with pytest.raises(TooMany):
        throttle.take("a", 13)
    throttle.forget("a")
    throttle.take("a", 13)


def test_a_throttle_keeps_a_bounded_memory() -> None:
    throttle = Throttle(1, 1e9, capacity=3)
    for name in range(10):
        throttle.take(name, 0)
    assert len(throttle._tries) == 3


@pytest.mark.parametrize("password", ["", "1234567", "x" * 129])
def test_weak_passwords(password: str) -> None:
    with pytest.raises(BadInput):
        check_password(password)


def test_whom_a_call_is_about() -> None:
    user, admin = Caller(1, "ada", admin=False), Caller(2, "root", admin=True)
    assert (user.acting_for(None), user.acting_for(1), admin.acting_for(1)) == (1, 1, 1)
    with pytest.raises(Forbidden):
        user.acting_for(2)
    with pytest.raises(Forbidden):
        user.must_be_admin()


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "ssh-rsa"])
def test_public_keys_that_do(kind: str) -> None:
    made = asyncssh.generate_private_key(kind, comment="ada@laptop")
    parsed = parse_public_key(f"  {made.export_public_key().decode()}\n")
    assert parsed.fingerprint == made.get_fingerprint("sha256")
    assert parsed.text == " ".join(made.export_public_key().decode().split()[:2])
    assert parsed.comment == "ada@laptop"


def test_public_keys_that_do_not() -> None:
    good = asyncssh.generate_private_key("ssh-ed25519")
    public = good.export_public_key().decode().strip()
    bad = [
        "",
        "x",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 !!!!",
        f"{public}\n{public}",
        public.replace("ed25519", "rsa"),
        f'command="x" {public}',
        good.export_private_key().decode(),
        "ssh-dss AAAAB3NzaC1kc3MAAACBAA==",
        "ssh-ed25519 \u0661\u0662",
        asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode(),
    ]
    for text in bad:
        with pytest.raises(BadInput) as refused:
            parse_public_key(text)
        assert refused.value.reason == "KEY_INVALID"
