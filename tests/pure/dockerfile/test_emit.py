"""What the engine gets: one text with one meaning, that Debian's Podman can build."""

from __future__ import annotations

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.emit import LINE, Base, emit
from funai.dockerfile.syntax import parse
from tests.pure.dockerfile.kit import plan, written

NODE = "FROM node:20"


def test_emit_is_one_line_an_instruction_in_one_spelling() -> None:
    text = '\ufeff# escape=\\\nfrom  node:20 \\\r\n  as Build\r\n# c\nrun a && \\\n\n  # c\n  b\ncopy --link ["x","y"]\n'
    assert written(text) == ["FROM node:20 AS build", "RUN a &&   b", 'COPY ["x", "y"]']


def test_emit_names_images_in_full_and_stages_by_their_own() -> None:
    bases = {"node:20": Base("docker.io/library/node:20"), "nginx": Base("docker.io/library/nginx:latest")}
    text = f"{NODE} AS a\n{NODE}\nRUN x\n{NODE} AS a\nFROM 0\nFROM scratch\n"
    text += "COPY --from=A / /a\nCOPY --from=1 / /b\nCOPY --from=nginx / /c\n"
    text += "RUN --mount=from=1,target=/m --mount=from=nginx,dst=/n true\n"
    assert written(text, bases) == [
        "FROM docker.io/library/node:20 AS stage-1",
        "RUN x",
        "FROM docker.io/library/node:20 AS stage-2",
        "FROM scratch",
        "COPY --from=stage-2 / /a",
        "COPY --from=stage-1 / /b",
        "COPY --from=docker.io/library/nginx:latest / /c",
        "RUN --mount=type=bind,from=stage-1,target=/m --mount=type=bind,from=docker.io/library/nginx:latest,target=/n true",
    ]


def test_emit_names_the_arguments_that_its_text_declares() -> None:
    text = f"ARG ONLY_ABOVE=1\n{NODE} AS unneeded\nARG GONE\n{NODE}\nARG A B=2\n"
    assert emit(plan(text), {}, ("CA",)).args == {"A", "B"}
    assert emit(plan(f"{text}RUN x\n"), {}, ("CA",)).args == {"A", "B", "CA"}


def test_emit_gives_arguments_the_values_from_before_the_first_from() -> None:
    text = f"ARG A=1\nARG B='x y'\nARG C=$A\n{NODE}\nARG A B C=3 D TARGETARCH\nARG NPM_REGISTRY=http://x\n"
    lines = ["ARG A=1", 'ARG B="x y"', "ARG C=3", "ARG D", "ARG TARGETARCH=amd64", "ARG NPM_REGISTRY=http://x"]
    assert written(text)[1:] == lines
    assert written(text, args={"A": "secret", "NPM_REGISTRY": "y"})[1:] == ["ARG A", *lines[1:]]


def test_emit_declares_ambient_arguments_where_steps_run_and_the_file_does_not() -> None:
    text = f"{NODE} AS a\nRUN x\n{NODE} AS b\nCOPY --from=a / /\nFROM b\nARG CA=1\nRUN y\n"
    assert emit(plan(text), {}, ("CA",)).text.splitlines() == [
        f"{NODE} AS a",
        "ARG CA",
        "RUN x",
        f"{NODE} AS b",
        "COPY --from=a / /",
        "FROM b",
        "ARG CA=1",
        "RUN y",
    ]


def test_emit_runs_heredocs_with_the_stages_shell() -> None:
    text = f'{NODE}\nRUN <<A\nset -e\n"x"\nA\nSHELL ["/bin/bash", "-c"]\nRUN --network=none cat <<-A > /x\n\ty\n\tA\n'
    assert written(text)[1:] == [
        'RUN ["/bin/sh", "-c", "set -e\\n\\"x\\"\\n"]',
        'SHELL ["/bin/bash", "-c"]',
        'RUN --network=none ["/bin/bash", "-c", "cat <<-A > /x\\n\\ty\\nA\\n"]',
    ]
    lines = written(f"{NODE}\nRUN <<A\n#!/usr/bin/env python3\nprint()\nA\n", {"node:20": Base("n", ("zsh", "-c"))})
    assert lines[1].endswith('"#!/usr/bin/env python3\\nprint()\\n", "/usr/bin/env", "python3", "/dev/shm/script"]')
    assert written(f"{NODE}\nRUN <<A\nx\nA\n", {"node:20": Base("n", ("zsh", "-c"))})[1] == 'RUN ["zsh", "-c", "x\\n"]'


@pytest.mark.parametrize(("mode", "flag"), [("+x", "--chmod=755 "), ("a+rX", ""), ("u+rwX", ""), ("0640", "--chmod=0640 ")])
def test_emit_writes_a_change_of_mode_as_what_it_makes_of_a_commits_files(mode: str, flag: str) -> None:
    assert written(f"{NODE}\nCOPY --chmod={mode} run.sh ./\n")[1] == f"COPY {flag}run.sh ./"


def test_emit_copies_heredocs_from_a_context_of_their_own() -> None:
    text = f"{NODE}\nENV N=1\nCOPY --chmod=u=rwx,go=rx <<A <<'B' local /d/\n$N \\$N\nA\n$N\nB\nADD <<A /e\nA\n"
    found = emit(plan(text), {})
    assert found.text.splitlines()[2:] == [
        "COPY --chmod=755 local /d/",
        "COPY --from=funai-files --chmod=755 1/A 1/B /d/",
        "COPY --from=funai-files 3/A /e",
    ]
    assert found.files == {"1/A": "1 $N\n", "1/B": "$N\n", "3/A": ""}


def test_emit_leaves_out_what_the_last_stage_does_not_need() -> None:
    text = "FROM n:1 AS a\nFROM nosuch.example/x AS b\nRUN x\nFROM a\nRUN y\n"
    assert written(text) == ["FROM n:1 AS a", "FROM a", "RUN y"]


def test_emit_makes_no_source_of_an_add_an_address() -> None:
    text = f'{NODE}\nADD $U ./a /b "q" /x\nADD ["a b", "/x"]\n'
    assert written(text)[1:] == ['ADD ./$U ./a ./b ./"q" /x', 'ADD ["./a b", "/x"]']


def test_emit_breaks_lines_that_are_too_long_for_an_engine() -> None:
    command = "RUN echo " + "word " * 20_000
    lines = written(f"{NODE}\n{command}\n")
    assert len(lines) > 2 and max(map(len, lines)) <= LINE + 1
    assert parse("\n".join(lines)).instructions[1].args == command.removeprefix("RUN ").strip()


def test_emit_keeps_another_escape() -> None:
    assert written(f"# escape=`\n{NODE}\nRUN dir c:\\\nRUN x `\n y\n") == ["# escape=`", NODE, "RUN dir c:\\", "RUN x  y"]


def test_emit_refuses_what_would_become_another_line() -> None:
    with pytest.raises(BadInput, match="end with"):
        written(f"{NODE}\nRUN x \\\r\r\n")
