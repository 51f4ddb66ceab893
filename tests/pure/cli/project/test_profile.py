from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.cli.project.profile import DEFAULT_SERVER, Access, Login, Profile, access, normal_server, parse, render
from funai.contracts.errors import ConfigError

ANN = Login("ann", 7, "secret-token")
HERE = "https://deploy.example.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deploy.example.com", "https://deploy.example.com"),
        (" https://deploy.example.com/ ", "https://deploy.example.com"),
        ("localhost:8080", "http://localhost:8080"),
        ("10.0.0.5:8080", "http://10.0.0.5:8080"),
        ("http://deploy.example.com:8080/base/", "http://deploy.example.com:8080/base"),
    ],
)
def test_a_server_may_be_written_as_people_write_it(text: str, expected: str) -> None:
    assert normal_server(text) == expected


@pytest.mark.parametrize(
    "text", ["ftp://x", "http://", "https://a b", "http://[::1", "http://a:99999", "http://a:x", "http://:8080"]
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        normal_server(text)


def test_the_option_wins_over_the_environment_over_the_file_over_the_default() -> None:
    known = Profile(HERE, {HERE: ANN})
    assert access(Profile(), {}).server == DEFAULT_SERVER
    assert access(known, {}) == Access(HERE, "config file", ANN)
    assert access(known, {"FUNAI_SERVER": "http://other:1"}).source == "FUNAI_SERVER"
    assert access(known, {"FUNAI_SERVER": "http://other:1"}, "http://third:1").server == "http://third:1"


def test_a_token_goes_only_to_the_server_it_came_from() -> None:
    known = Profile(HERE, {HERE: ANN})
    assert access(known, {}).headers() == {"Authorization": "Bearer secret-token"}
    assert access(known, {"FUNAI_SERVER": "https://evil.example.com"}).headers() == {}


def test_an_api_key_is_used_instead_of_the_login() -> None:
    assert access(Profile(HERE, {HERE: ANN}), {"FUNAI_API_KEY": "k"}).headers() == {"X-API-Key": "k"}


def test_an_api_key_loses_the_line_end_of_the_file_it_was_in_and_is_never_repeated() -> None:
    assert access(Profile(), {"FUNAI_API_KEY": "key\r\n"}).api_key == "key"
    assert access(Profile(), {"FUNAI_API_KEY": "\n"}).api_key is None
    with pytest.raises(ConfigError) as refused:
        access(Profile(), {"FUNAI_API_KEY": "se\nsame"})
    assert "sesame" not in str(refused.value).replace("\n", "")


def test_secrets_don_t_show() -> None:
    assert "secret-token" not in repr(Profile(HERE, {HERE: ANN}))
    assert "sesame" not in repr(Access(HERE, "x", None, "sesame"))


def test_logging_out_forgets_one_login() -> None:
    both = Profile().with_login("http://a", ANN).with_login("http://b", ANN)
    assert both.server == "http://b"
    assert list(both.without("http://b").logins) == ["http://a"]


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30)


@given(TEXT, TEXT, TEXT)
def test_whatever_is_remembered_is_read_back(server: str, user: str, token: str) -> None:
    kept = Profile(server, {server: Login(user, 1, token)})
    assert parse(render(kept), "file") == kept


@pytest.mark.parametrize(
    "text", ["server = ", "[logins.x]\nuser = 'a'", "logins = 3", "[logins.x]\nuser='a'\nuserId='b'\ntoken='c'"]
)
def test_a_broken_file_is_named_with_its_mend(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^the file: can't be read .*log in again"):
        parse(text, "the file")
