"""Words that stay out of the code, private attributes of libraries, and switched-off formatting. Run by `make lint`.

A word is out when the field has a plain one for it. ``OUT`` holds names that were replaced, so that they don't come back;
``PROSE`` holds words that a docstring or a comment doesn't need, what it quotes as code apart.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
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
PROSE = {
    "nobody": "no process, without an owner … (say what)",
    "somebody": "a user, another task … (say who)",
    "everybody": "all users, all addresses … (say which)",
    "told": "reported, sent, notified, determined",
    "mend": "fix",
    "mends": "fixes",
    "mended": "fixed",
    "in hand": "running, open",
    "those that": "the noun",
    "those who": "the noun",
    "leftovers": "stale placements, remains",
}
PROSE_WORDS = re.compile("|".join(rf"\b{word}\b" for word in PROSE), re.IGNORECASE)
QUOTED = re.compile(r"``.*?``|`.*?`")
UNFORMATTED = re.compile(r"# fmt: \w")
PUBLIC = {"_mapping", "_asdict", "_replace", "_fields", "_exit"}
"""Documented as public: SQLAlchemy's rows and named tuples keep their own names apart from columns by the underscore, and
``os._exit`` is how a forked child ends."""


def main() -> int:
    found = [*words(), *prose(), *private_attributes(), *unformatted()]
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


def prose() -> Iterator[str]:
    """``path:line: the word and what to say``, in the docstrings and comments of the code that people run."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        for number, line in _prose_lines(path.read_text(encoding="utf-8")):
            for match in PROSE_WORDS.finditer(QUOTED.sub("", line)):
                yield f"{path.relative_to(ROOT)}:{number}: {match[0]!r} is out of prose; write {PROSE[match[0].lower()]!r}"


def _prose_lines(text: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each line of a docstring, and of each comment."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            last = node.end_lineno or node.lineno
            yield from ((number, lines[number - 1]) for number in range(node.lineno, last + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


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
