"""Runs the pure tests on the lowest versions that pyproject.toml allows. Run by `make test-lowest`; arguments go to pytest.

What a dependency needs itself is taken at its newest. The virtualenv stays in ``.state/lowest``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".state" / "lowest"
UV = HOME / "tool" / "bin" / "uv"
PYTHON = HOME / "tests" / "bin" / "python"


def main() -> int:
    if not UV.exists():
        run(sys.executable, "-m", "venv", str(HOME / "tool"))
        run(str(HOME / "tool" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "uv")
    lowest = HOME / "requirements.txt"
    resolve = ("pip", "compile", "--quiet", "--python-version", "3.11", "--resolution", "lowest-direct", "--extra", "dev")
    run(str(UV), *resolve, "pyproject.toml", "--output-file", str(lowest))
    run(str(UV), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(HOME / "tests"))
    run(str(UV), "pip", "sync", "--quiet", "--python", str(PYTHON), str(lowest))
    return subprocess.run([str(PYTHON), "-m", "pytest", "tests/pure", *sys.argv[1:]], cwd=ROOT, check=False).returncode


def run(*argv: str) -> None:
    subprocess.run(argv, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
