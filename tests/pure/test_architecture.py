"""docs/architecture.md tells the way of a click and of a heartbeat as the code goes it."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| `([^`]+)` \| `(\w+)` \| (.*) \|$", re.MULTILINE)


def rows(heading: str) -> list[tuple[str, str, str]]:
    """(file, function, what it does) of the table under ``heading``."""
    section = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    return [(file, name, says) for _, file, name, says in ROW.findall(section)]


def tree_of(file: str) -> ast.Module:
    return ast.parse((ROOT / "src" / "funai" / file).read_text(encoding="utf-8"))


def functions(tree: ast.AST, name: str) -> list[ast.AST]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name == name]


def called(tree: ast.AST) -> Iterator[str]:
    """Names of what is called or handed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def texts(tree: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


MEETING_IN_THE_DATABASE = {("deploy/queue/store.py", "runner/claim/loop.py")}
"""A runner takes the job from the row that was written: nobody calls it."""
ASIDE = {
    ("runner/build/image.py", "runner/publish/push.py"),
    ("runner/publish/push.py", "runner/publish/rollout.py"),
    ("agent/rollout/rollout.py", "gateway/haproxy/driver.py"),
}
"""``job.py`` calls all three of its steps itself; the agent knows a gateway by its contract (``contracts/routes.py``)."""
WAYS = [("A click, file by file", 15), ("A node's heartbeat", 7)]


@pytest.mark.parametrize(("heading", "most"), WAYS)
def test_a_way_is_short_and_its_files_and_functions_exist(heading: str, most: int) -> None:
    found = rows(heading)
    assert 4 <= len(found) <= most
    assert len({file for file, _, _ in found}) == len(found), "each file is read once, with no way back"
    assert [(file, name) for file, name, _ in found if not functions(tree_of(file), name)] == []


@pytest.mark.parametrize("heading", [heading for heading, _ in WAYS])
def test_each_file_of_a_way_calls_the_function_of_the_next(heading: str) -> None:
    found = rows(heading)
    for (file, name, says), (after, then, _) in itertools.pairwise(found):
        if posts := re.search(r"^POST `([^`]+)`", says):
            path = posts[1]
            assert path in {t for f in functions(tree_of(file), name) for t in texts(f)}, f"{file} posts elsewhere than {path}"
            there = texts(tree_of(after))
            assert any(path == a + b for a in there for b in {*there, ""}), f"{after} has no route {path}"
        elif (file, after) not in MEETING_IN_THE_DATABASE and (file, after) not in ASIDE:
            assert then in set(called(tree_of(file))), f"{file} never calls {then} of {after}"


def test_what_stands_aside_is_called_by_the_story() -> None:
    story = set(called(tree_of("runner/job.py")))
    assert {"build", "push", "deploy"} <= story
    assert "put" in set(called(tree_of("agent/node.py")))
