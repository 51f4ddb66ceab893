from __future__ import annotations

from funai.cli.envfile import parse_env_file, parse_pair


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
