"""No code writes where an app lives, or whose a name is, without telling the edge."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import funai.deploy

_ROOM = Path(funai.deploy.__file__).parent
_WRITES = re.compile(
    r"(insert|update|delete)\((placement|domain)\b|insert_new\(conn, (placement|domain)\b|node_id=None|_settled\("
)
_TELLS = re.compile(r"\btouch\(|\bserves\(")
_TELL_ELSEWHERE = {"_settled", "home", "ask", "note", "_fresh"}
"""Builds the statement, writes no node, or changes nothing but how a name is doing."""


def writers() -> Iterator[tuple[str, str]]:
    """(name, source) of every function that writes one of the tables."""
    for path in sorted(_ROOM.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        text = path.read_text()
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                source = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                if _WRITES.search(source):
                    yield node.name, source


def test_writers_of_routes_all_tell_the_edge() -> None:
    found = dict(writers())
    assert {"settle", "unsettle", "move", "remove_node", "add", "alias", "remove", "forget_app"} <= found.keys()
    silent = {name for name, source in found.items() if not _TELLS.search(source)} - _TELL_ELSEWHERE
    assert not silent, f"these write routes and call neither touch nor serves: {sorted(silent)}"
