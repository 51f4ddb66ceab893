"""Words that stay out of the code, private attributes of libraries, and switched-off formatting. Run by `make lint`.

A word is out when the field has a plain one for it; the list is short on purpose: it holds names that were replaced, so that
they don't come back.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = {
    "Converger": "Reconciler",
    "Retirer": "Drainer",
    "Discards": "ImageGC",
    "Whereabouts": "AppLocation",
    "GitGate": "RepoAccess",
    "goes home": "is released",
    "gravest": "most severe",
    "lodger": "placed app",
    "wants company": "is batched",
}
WORDS = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in OUT))
UNFORMATTED = re.compile(r"# fmt: \w")
PUBLIC = {"_mapping", "_asdict", "_replace", "_fields", "_exit"}
"""Documented as public: SQLAlchemy's rows and named tuples keep their own names apart from columns by the underscore, and
``os._exit`` is how a forked child ends."""


def main() -> int:
    found = [*words(), *private_attributes(), *unformatted()]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def words() -> Iterator[str]:
    """``path:line: the word and what to say``, in code, tests and docs."""
    folders = (ROOT / folder for folder in ("src", "tests", "docs", "benchmarks"))
    files = [p for folder in folders for p in folder.rglob("*") if p.suffix in (".py", ".md")]
    for path in sorted(files):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for match in WORDS.finditer(line):
                yield f"{path.relative_to(ROOT)}:{number}: {match[0]!r} is out; write {OUT[match[0]]!r}"


def unformatted() -> Iterator[str]:
    """``path:line``, for every place that switches the formatter off."""
    for path in sorted(p for folder in ("src", "tests", "benchmarks", "scripts") for p in (ROOT / folder).rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if UNFORMATTED.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: the formatter stays on; let it win"


def private_attributes() -> Iterator[str]:
    """``path:line: the attribute``, for what a file of ours takes from an object that isn't its own."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = _own_names(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and _private(node.attr) and node.attr not in own:
                if node.attr not in PUBLIC:
                    yield f"{name}:{node.lineno}: {ast.unparse(node)}: a private attribute of somebody else's"
            elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("funai"):
                taken_names = [*(a.name for a in node.names), *(node.module or "").split(".")]
                for taken in filter(_private, taken_names):
                    yield f"{name}:{node.lineno}: {taken} of {node.module} is private"


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _own_names(tree: ast.AST) -> set[str]:
    """Private names that the file itself defines."""
    own: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            own.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
    return own


if __name__ == "__main__":
    sys.exit(main())
