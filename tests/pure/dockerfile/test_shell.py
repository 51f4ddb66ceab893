"""Variables and quotes, as BuildKit's lexer reads them."""

from __future__ import annotations

import pytest

from funai.dockerfile.shell import MAX_VALUE, BadWord, Lexer, expand, quoted, split_words

ENV = {"A": "one", "EMPTY": "", "P": "a/b/c.tar.gz", "SP": "x y"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A-${A}x", "one-onex"),
        ("$NO|${NO}", "|"),
        ("${NO:-d}${EMPTY:-e}${EMPTY-f}", "de"),
        ("${A:+p}${EMPTY:+q}${EMPTY+r}", "pr"),
        ("${NO:-${A}}", "one"),
        ("'$A'", "$A"),
        ('"$A \\" \\$A \\x"', 'one " $A \\x'),
        ("\\$A\\b", "$Ab"),
        ("$", "$"),
        ("a$-b", "ab"),
        ("${P#*/}|${P##*/}|${P%.*}|${P%%.*}", "b/c.tar.gz|c.tar.gz|a/b/c.tar|a/b/c"),
        ("${P/b/X}|${P//\\//-}", "a/X/c.tar.gz|a-b-c.tar.gz"),
        ("${A?no}", "one"),
        ("\"a'b\"'c\"d'", "a'bc\"d"),
        ("$é", ""),
    ],
)
def test_expand(text: str, value: str) -> None:
    assert expand(text, ENV) == value


@pytest.mark.parametrize("text", ["'a", '"a', "${A", "${}", "${A:}", "${A!x}", "${NO:?why}", "${P##" + "a" * 300 + "}"])
def test_expand_of_what_is_no_word_is_refused(text: str) -> None:
    with pytest.raises(BadWord):
        expand(text, ENV)


def test_expand_with_another_escape() -> None:
    assert expand("a`$A\\b", ENV, "`") == "a$A\\b"


def test_words_are_split_outside_quotes_only() -> None:
    lexer = Lexer(ENV)
    lexer.expand("a 'b c'd $SP  ${SP:-}e")
    assert lexer.words == ["a", "b cd", "x", "y", "x", "ye"]
    assert split_words('A=1 B=\'x y\' C="a \\" b" D=\\ e', "\\") == ["A=1", "B='x y'", 'C="a \\" b"', "D=\\ e"]


def test_quoted_is_read_back_as_the_value() -> None:
    for value in ("plain", "a b", '"$A" \\ `', "é", "[x]", "#c"):
        for escape in ("\\", "`"):
            assert expand(quoted(value, escape), ENV, escape) == value
    with pytest.raises(BadWord):
        quoted("a\nb")


def test_values_that_double_each_time_end() -> None:
    value = "x" * MAX_VALUE
    with pytest.raises(BadWord):
        expand("$V$V", {"V": value})
