"""What is masked in text that people read, and what stays readable."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from funai.base.observability.redact import MASK, Redactor, named_secret, secrets_of


def masked(text: str, env: dict[str, str], *marked: str) -> str:
    return Redactor(secrets_of(env, marked))(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_ENV", "production"),
        ("APP", "hello-node"),
        ("DB_HOST", "localhost"),
        ("LOG", "console.log"),
        ("DEBUG", "true"),
        ("HOST", "ep-cool-darkness-123456.us-east-2.aws.neon.tech"),
        ("API_URL", "https://api.example.com/v1/things?page=2"),
        ("TOKEN_TTL", "86400"),
        ("PASSWORD_MIN_LENGTH", "minimum-12"),
        ("BUCKET", "my-app-prod-20240101"),
        ("PATHS", "/var/lib/thing-1234567890"),
        ("JWT_SECRET_PROVIDER", "hashicorp-vault"),
        ("AUTH_ENABLED", "enabled"),
        ("USE_SECRET", "production"),
        ("MONKEY", "business"),
        ("IMAGE", "registry.example.com/team/app:v1.2.3"),
        ("DATABASE_URL", "postgres://localhost:5432/postgres"),
        ("NODE_OPTIONS", "--max-old-space-size=4096"),
        ("TZ", "Asia/Shanghai"),
        ("MOTTO", "building things for 100 people today"),
    ],
)
def test_secrets_of_an_ordinary_value_leaves_it_readable(name: str, value: str) -> None:
    text = f"building hello-node for production on localhost: {value} (postgres, console.log true) see https://docs.example.com/production"
    assert masked(text, {name: value}) == text


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DATABASE_URL", "postgres://u:pa55word-long@db.example/x", "pa55word-long"),
        ("DATABASE_URL", "mysql://u:p%40ss-w0rd@db/x", "p%40ss-w0rd"),
        ("DATABASE_URL", "mysql://u:p%40ss-w0rd@db/x", "p@ss-w0rd"),
        ("DATABASE_URL", "mongodb://u:pa55@word1@db/x", "pa55@word1"),
        ("JDBC", "jdbc:mysql://db/x?user=u&password=hunter2-hunter2", "hunter2-hunter2"),
        ("MSSQL", "Server=db;User Id=u;Password=hunter2-hunter2;", "hunter2-hunter2"),
        ("DB_PASSWORD", "correct horse battery staple", "correct horse battery staple"),
        ("dbPassword", "letmein-please", "letmein-please"),
        ("STRIPE_APIKEY", "abcd-efgh", "abcd-efgh"),
        ("SECRET_KEY_BASE", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("GH", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("ANY", "q7Yt2Lw9Xk4Bv8Nz", "q7Yt2Lw9Xk4Bv8Nz"),
        ("ANY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ],
)
def test_secrets_of_a_value_that_looks_secret_masks_it(name: str, value: str, secret: str) -> None:
    shown = masked(f"connecting to {value}, with {secret}!", {name: value})
    assert secret not in shown and MASK in shown and shown.startswith("connecting to ")


def test_secrets_of_a_marked_variable_masks_the_value_whatever_it_looks_like() -> None:
    assert masked("for production in productions", {"STAGE": "production"}, "STAGE") == f"for {MASK} in productions"


@pytest.mark.parametrize("name", ["DB_PASSWORD", "API_KEY", "apiKey", "GITHUB_TOKEN", "aws.secret", "SESSION_SECRET_1"])
def test_named_secret_of_a_secrets_name_is_true(name: str) -> None:
    assert named_secret(name)


def test_redactor_takes_lines_of_long_values_and_the_forms_that_programs_print() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----"
    shown = masked("a MIIEvQIBADANBg b\nkqhkiG9w0BAQEF", {"PEM": key})
    assert shown == f"a {MASK} b\n{MASK}"
    secret = 'p"ä ss/w0rd'
    forms = [secret, 'p\\"ä ss/w0rd', "p%22%C3%A4%20ss%2Fw0rd", base64.b64encode(secret.encode()).decode().rstrip("=")]
    assert masked(" | ".join(forms), {"PASSWORD": secret}) == " | ".join([MASK] * len(forms))


def test_redactor_of_secrets_that_overlap_leaves_nothing_of_either() -> None:
    assert Redactor(["abcdefgh1234", "1234ijklmnop"])("x abcdefgh1234ijklmnop y") == f"x {MASK} y"


def test_redactor_masks_the_password_in_any_address() -> None:
    assert (
        Redactor([])("proxy http://ops:hush@proxy:3128/ and ssh://git@host:22/x")
        == f"proxy http://ops:{MASK}@proxy:3128/ and ssh://git@host:22/x"
    )


@settings(max_examples=40)
@given(st.integers(0, 40), st.lists(st.integers(1, 30), max_size=30), st.integers(0, 20))
def test_stream_of_a_line_in_any_pieces_never_shows_a_part_of_a_secret(before: int, cuts: list[int], hold: int) -> None:
    secret = "s3cret-Value-0123456789"
    text = "x" * (before + 270) + secret + "y" * 300 + secret
    stream = Redactor([secret]).stream(hold)
    out, at = "", 0
    for cut in cuts:
        out += stream.feed(text[at : at + cut * 10])
        at += cut * 10
    out += stream.feed(text[at:]) + stream.rest()
    assert out == text.replace(secret, MASK)


def test_stream_of_a_value_that_repeats_without_end_does_not_grow() -> None:
    stream = Redactor(["aaaaaaaa"]).stream(100)
    out = sum(len(stream.feed("a" * 1_000)) for _ in range(50))
    assert out > 0 and len(stream.rest()) < 5_000


@given(st.text("a1", max_size=60), st.text("a1", min_size=12, max_size=14))
def test_spans_cover_every_occurrence_of_a_secret_that_overlaps_itself(text: str, secret: str) -> None:
    starts = [n for n in range(len(text)) if text.startswith(secret, n)]
    covered = {at for start, end in Redactor([secret]).spans(text) for at in range(start, end)}
    assert covered == {at for n in starts for at in range(n, n + len(secret))}


@pytest.mark.parametrize("value", ["a" * 60_000, "a." * 30_000, "a://" + "@" * 60_000, "password" * 8_000, "a:" * 30_000])
def test_secrets_of_values_made_to_be_read_forever_are_found_at_once(value: str) -> None:
    assert len(secrets_of({"A": value})) < 20


def test_redactor_of_secrets_that_overlap_themselves_ends() -> None:
    assert Redactor(["a1" * n for n in range(20, 200)])("a1" * 200_000) == MASK
