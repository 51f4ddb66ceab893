"""The built package by itself: all it needs at run time is in it, and nothing of the working tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
USED = """
from pathlib import Path
from funai.standalone import cli
from funai.standalone.parts import base_image
print(cli._find_example(), base_image.NODE_LOCK.is_file(), base_image.WEB_CONTEXT.is_dir())
"""


def test_a_wheel_has_what_it_uses_and_runs_outside_the_tree(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    packed = {p.relative_to(site).as_posix() for p in site.rglob("*") if p.is_file() and "dist-info" not in p.parts[-2]}
    sources = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert sources <= packed
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", USED], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(site / "funai/standalone/example"), "True", "True"]
    assert (site / "funai/standalone/example/package.json").is_file()
