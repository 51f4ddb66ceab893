"""Soft limits that keep the code readable: files of at most 400 lines, functions of at most 60, and in ``src`` classes of at
most 20 methods and folders of at most 14 files. Run by `make lint`.

It also sees to it that every room under ``src/funai`` has its fence in ``pyproject.toml``.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "tests", "scripts", "benchmarks", "examples")
MAX_FILE = 400
MAX_FUNCTION = 60
MAX_METHODS = 20
"""Of a class, its properties and the methods that Python calls (``__init__``) aside."""
MAX_FILES = 14


def main() -> int:
    found = [*too_long(), *too_many(), *unfenced_rooms()]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def too_long() -> Iterator[str]:
    """``path:line: what is too long``, for every file and function."""
    for path in sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        text = path.read_text()
        name = path.relative_to(ROOT)
        lines = len(text.splitlines())
        if lines > MAX_FILE:
            yield f"{name}:1: {lines} lines; a file has at most {MAX_FILE}"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION:
                    yield f"{name}:{node.lineno}: {node.name} has {length} lines; a function has at most {MAX_FUNCTION}"


def too_many() -> Iterator[str]:
    """The same for the methods of every class and the files of every folder of ``src``."""
    source = ROOT / "src" / "funai"
    for folder in sorted({path.parent for path in source.rglob("*.py")}):
        files = sorted(folder.glob("*.py"))
        if len(files) > MAX_FILES:
            yield f"{folder.relative_to(ROOT)}:1: {len(files)} files; a folder has at most {MAX_FILES}"
        for path in files:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and (count := sum(map(_is_method, node.body))) > MAX_METHODS:
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield f"{where}: {node.name} has {count} methods; a class has at most {MAX_METHODS}"


def _is_method(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("__"):
        return False
    return not any(isinstance(d, ast.Name) and d.id.endswith("property") for d in node.decorator_list)


def unfenced_rooms() -> Iterator[str]:
    """A package that no import contract names as a source could import anything."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    fenced = {module for contract in contracts for module in contract["source_modules"]}
    for room in sorted(p.parent.name for p in (ROOT / "src" / "funai").glob("*/__init__.py")):
        if f"funai.{room}" not in fenced:
            yield f"pyproject.toml:1: src/funai/{room} has no import-linter contract"


if __name__ == "__main__":
    sys.exit(main())
