"""Build FerretDB, the tests' MongoDB, once into the user's cache. Standard library only.

Debian has no package of MongoDB. FerretDB 1.24 speaks its wire protocol over SQLite and comes as a Go module. The module
lacks a file that its own build makes, the version, so it is built from a copy that has it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "v1.24.2"
MODULE = "github.com/FerretDB/FerretDB"
GO = (1, 24)
SECONDS = 900


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "funai" / f"ferretdb-{VERSION}"


def binary() -> Path | None:
    """The built program; None when it was never built here."""
    file = cache() / "ferretdb"
    return file if os.access(file, os.X_OK) else None


def go() -> str | None:
    """A Go that is new enough."""
    for program in (shutil.which("go"), "/usr/local/go/bin/go"):
        if program and os.access(program, os.X_OK):
            said = subprocess.run([program, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/").stdout
            found = re.match(r"go(\d+)\.(\d+)", said)
            if found and (int(found[1]), int(found[2])) >= GO:
                return program
    return None


def build() -> str:
    """Have the program; answers what was done, for people. Never raises: its tests are skipped without it."""
    if binary():
        return "FerretDB: already built"
    program = go()
    if program is None:
        return f"FerretDB: not built, Go {GO[0]}.{GO[1]} or newer is missing; tests that need a MongoDB are skipped"
    try:
        return _build(program)
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        detail = (getattr(e, "stderr", None) or str(e)).strip().splitlines()
        return f"FerretDB: not built ({detail[-1][:200] if detail else e}); tests that need a MongoDB are skipped"


def _build(program: str) -> str:
    environ = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    with tempfile.TemporaryDirectory(prefix="funai-ferretdb-") as scratch:
        source = Path(scratch) / "source"
        got = _go(program, ["mod", "download", "-json", f"{MODULE}@{VERSION}"], scratch, environ)
        shutil.copytree(json.loads(got)["Dir"], source)
        for path in (source, *source.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
        (source / "build" / "version" / "version.txt").write_text(f"{VERSION}\n")
        made = Path(scratch) / "ferretdb"
        _go(program, ["build", "-tags", "ferretdb_no_postgresql", "-o", str(made), "./cmd/ferretdb"], str(source), environ)
        cache().mkdir(parents=True, exist_ok=True)
        aside = cache() / f".new-{os.getpid()}"
        shutil.move(made, aside)
        aside.replace(cache() / "ferretdb")
    return "FerretDB: built"


def _go(program: str, words: list[str], where: str, environ: dict[str, str]) -> str:
    done = subprocess.run(
        [program, *words], cwd=where, env=environ, capture_output=True, text=True, check=True, timeout=SECONDS
    )
    return done.stdout


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
