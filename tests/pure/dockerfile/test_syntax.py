"""The grammar: what is an instruction, what is a part of one, and what is no text of a Dockerfile at all."""

from __future__ import annotations

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.syntax import Instruction, parse


def read(text: str) -> list[tuple[str, str]]:
    return [(i.name, i.args) for i in parse(text).instructions]


def only(text: str) -> Instruction:
    (found,) = parse(text).instructions
    return found


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffFROM a\r\nRUN b\r\n",
        "  from  a \n\n# c\n\trun b",
        "FROM a\nRUN \\\n\n  # comment\n\n   b",
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN `\nb",
        "FROM \\\r\na\r\nRUN b",
    ],
)
def test_parse_of_many_spellings_is_the_same_instructions(text: str) -> None:
    assert read(text) == [("FROM", "a"), ("RUN", "b")]


def test_parse_of_continued_lines_is_one_instruction_that_begins_at_its_first_line() -> None:
    text = 'FROM a\nRUN printf "\\\nfrom ${X%%.*}\\n\\\n" > /f\nRUN echo npm \\\n    run --silent build\n'
    found = parse(text).instructions
    assert [(i.line, i.name, i.args) for i in found] == [
        (1, "FROM", "a"),
        (2, "RUN", 'printf "from ${X%%.*}\\n" > /f'),
        (5, "RUN", "echo npm     run --silent build"),
    ]


def test_escape_after_anything_else_is_a_comment() -> None:
    for first in ("\n", "# a comment\n", "FROM a\n"):
        assert parse(f"{first}# escape=`\nFROM a\n").escape == "\\"
    assert parse("#Escape = `\r\nFROM a").escape == "`"


def test_flags_are_read_without_quotes_and_the_rest_is_the_command() -> None:
    copy = only("COPY --fr\\om=\"a b\" --link --chown='x:y' src dst")
    assert [(f.name, f.value) for f in copy.flags] == [("from", "a b"), ("link", None), ("chown", "x:y")]
    assert copy.args == "src dst"
    run = only("RUN -- --mount=type=bind true")
    assert run.flags == () and run.args == "--mount=type=bind true"


def test_json_form_is_a_list_and_what_is_no_json_is_words() -> None:
    assert only('COPY ["a b", "/c"]').list == ("a b", "/c")
    assert only('ADD ["http\\u003a//x", "/x"]').list == ("http://x", "/x")
    assert only("COPY ['a', /c").list == ("['a',", "/c") and only("RUN [NaN]").words is None
    with pytest.raises(BadInput):
        parse("CMD [1]")


def test_heredocs_hold_their_lines_whatever_these_look_like() -> None:
    text = 'FROM a\nRUN <<A cat <<-"B C" && x <<<y\nFROM b\nA\n\tADD http://x /y\n\tB C\n'
    text += "COPY <<'E' <<F /d/\n$X\nE\n$Y\nF\nUSER u\n"
    found = parse(text).instructions
    assert [i.name for i in found] == ["FROM", "RUN", "COPY", "USER"]
    a, b = found[1].heredocs
    assert (a.name, a.content, a.expand, a.chomp) == ("A", "FROM b\n", True, False)
    assert (b.name, b.text, b.expand, b.chomp) == ("B C", "ADD http://x /y\n", False, True)
    assert [(d.name, d.content, d.expand) for d in found[2].heredocs] == [("E", "$X\n", False), ("F", "$Y\n", True)]


@pytest.mark.parametrize(
    "text", ["RUN echo $((1<<2))", 'RUN ["x", "<<A"]', "RUN echo '<<A", 'RUN echo "<<A"', "CMD <<A", "RUN a<<A"]
)
def test_what_only_looks_like_a_heredoc_is_none(text: str) -> None:
    assert [i.name for i in parse(f"{text}\nUSER u\n").instructions][1:] == ["USER"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("FROM a\nRUN <<A\nx\n", "line 2"),
        ("FROM a\n\nNPM ci\n", "line 3: unknown instruction NPM"),
        ("RUN", "no arguments"),
        ("# escape=x\nFROM a", "escape"),
        ("# escape=`\n# escape=`\nFROM a", "once"),
        ("ONBUILD ONBUILD RUN x", "ONBUILD"),
        ("ONBUILD " * 5_000, "ONBUILD"),
        ("COPY --=x a b", "no flag"),
        ("FROM a\nRUN a\0b", "NUL"),
        ("FROM a\n".encode("utf-16").decode(errors="replace"), "UTF-16"),
        ("FROM a\n\\\n", "line 2"),
    ],
)
def test_text_that_no_builder_takes_is_refused_by_the_line(text: str, word: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert word in caught.value.message("en")
    assert caught.value.message("zh") != caught.value.message("en")
