"""``COPY --parents`` in the words of older builders."""

from __future__ import annotations

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.emit import emit
from tests.pure.dockerfile.kit import errors, plan

FILES = ["package.json", "apps/web/package.json", "apps/web/src/a.js", "apps/api/package.json", "packages/ui/lib/package.json"]


def copied(instruction: str) -> list[str]:
    text = f"FROM node:20 AS deps\nFROM node:20\n{instruction}\n"
    assert errors(text) == []
    return [line for line in emit(plan(text), {}, files=lambda: FILES).text.splitlines() if line.startswith("COPY")]


@pytest.mark.parametrize(
    ("instruction", "lines"),
    [
        ("COPY --parents a/b.txt c/ /to/", ["COPY a/b.txt /to/a/b.txt", "COPY c /to/c"]),
        ("COPY --parents /a/b ./", ["COPY a/b ./a/b"]),
        ("COPY --parents a/./b/c /", ["COPY a/b/c /b/c"]),
        ("COPY --parents ./a/b x", ["COPY a/b x/a/b"]),
        ('COPY --parents --chown=node:node ["a", "/to"]', ["COPY --chown=node:node a /to/a"]),
        ("COPY --parents --from=deps /app/dist /srv", ["COPY --from=deps app/dist /srv/app/dist"]),
        (
            "COPY --parents apps/*/package.json .",
            ["COPY apps/api/package.json ./apps/api/package.json", "COPY apps/web/package.json ./apps/web/package.json"],
        ),
        ("COPY --parents apps/* /x", ["COPY apps/api /x/apps/api", "COPY apps/web /x/apps/web"]),
        ("COPY --parents=false a b", ["COPY a b"]),
    ],
)
def test_copy_with_parents_is_a_copy_for_each_source(instruction: str, lines: list[str]) -> None:
    assert copied(instruction) == lines


def test_copy_with_parents_of_a_pattern_takes_any_number_of_folders() -> None:
    sources = [line.split()[1] for line in copied("COPY --parents **/package.json ./")]
    assert sources == sorted(path for path in FILES if path.endswith("package.json"))


def test_copy_with_parents_of_a_pattern_that_means_nothing_names_the_line() -> None:
    with pytest.raises(BadInput) as caught:
        copied("COPY --parents lib/*/x.json ./")
    assert "line 3" in caught.value.message("en") and "no file matches" in caught.value.message("en")


def test_copy_with_parents_of_very_many_files_is_refused() -> None:
    text = "FROM node:20\nCOPY --parents *.js /x\n"
    with pytest.raises(BadInput, match="more than 100"):
        emit(plan(text), {}, files=lambda: [f"{n}.js" for n in range(101)])
