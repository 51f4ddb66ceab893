from __future__ import annotations

import pytest

from funai.cli.project.envfile import decode, parse_pair
from funai.cli.project.envfile import parse_env_file as parse


def parse_env_file(text: str) -> tuple[dict[str, str], list[int]]:
    found = parse(text)
    return found.values, found.bad


def test_a_pair_is_cut_at_its_first_equals_sign() -> None:
    assert parse_pair("A=b=c") == ("A", "b=c")
    assert parse_pair("A=") == ("A", "")
    assert parse_pair("=x") is None
    assert parse_pair("A") is None


def test_a_file_as_people_write_it() -> None:
    text = '# comment\n\nexport A=1\nB = two words \nC=\'$x "y"\'\nD="a\\nb\\"c"\nE=a#b\n'
    assert parse_env_file(text) == ({"A": "1", "B": "two words", "C": '$x "y"', "D": 'a\nb"c', "E": "a#b"}, [])


def test_lines_that_are_none_are_told_by_number() -> None:
    assert parse_env_file("A=1\nnonsense\n=3\n") == ({"A": "1"}, [2, 3])


def test_a_comment_behind_a_value_is_none_of_it() -> None:
    text = "A=1 # one\nB=\"x # y\" # two\nC='z'\t#three\nD= # nothing\nE=#ffcc00\nF=http://h/#top\n"
    expected = {"A": "1", "B": "x # y", "C": "z", "D": "", "E": "#ffcc00", "F": "http://h/#top"}
    assert parse_env_file(text) == (expected, [])


def test_a_quoted_value_may_have_several_lines() -> None:
    text = "KEY=\"-----BEGIN-----\nab=c\n-----END-----\"\nB='1\n# 2'\r\nbad\nC=3\n"
    assert parse_env_file(text) == ({"KEY": "-----BEGIN-----\nab=c\n-----END-----", "B": "1\n# 2", "C": "3"}, [6])


def test_an_escaped_backslash_escapes_nothing_more() -> None:
    assert parse_env_file(r'A="C:\\new\n"') == ({"A": "C:\\new\n"}, [])
    assert parse_env_file('A="C:\\dir\\"\nB="2"') == ({"A": "C:\\dir\\", "B": "2"}, [])


def test_a_quote_that_never_ends_is_a_character() -> None:
    assert parse_env_file('A="x\nB=2 "y"\n') == ({"A": '"x', "B": '2 "y"'}, [])


def test_an_editors_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert parse_env_file("\ufeffA=1\r\nB=2\r\n") == ({"A": "1", "B": "2"}, [])


def test_a_variables_line_is_where_it_was_set_last() -> None:
    assert parse("A=1\n\nB='x\ny'\nA=2\n").lines == {"A": 5, "B": 3}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_decode_a_file_of_an_editor_or_of_powershell_is_its_text(encoding: str) -> None:
    assert decode("A=é\n".encode(encoding)) == "A=é\n"


def test_decode_another_encoding_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode("A=é\n".encode("latin-1"))
