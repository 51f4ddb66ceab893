"""Remakes the READMEs' picture: ``funai demo`` in a real terminal, as an SVG. Run by `make picture` (two minutes).

scripts/terminal_svg.py en docs/images/demo.svg
"""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
LANGUAGES = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)


def main() -> int:
    language, target = sys.argv[1], Path(sys.argv[2])
    play = ["cat", sys.argv[3]] if len(sys.argv) > 3 else [str(ROOT / ".venv/bin/funai"), "demo"]
    code, said = in_terminal(play, LANGUAGES[language])
    if code != 0:
        sys.stderr.write(said)
        return code
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture(said), encoding="utf-8")
    return 0


def in_terminal(argv: list[str], language: str) -> tuple[int, str]:
    """The program's exit status and what it wrote to a terminal of ``WIDTH`` columns."""
    leader, follower = pty.openpty()
    env = {**os.environ, "LANG": language, "LC_ALL": language, "COLUMNS": str(WIDTH), "TERM": "xterm-256color"}
    with subprocess.Popen(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower) as process:
        os.close(follower)
        said = b""
        while piece := _read(leader):
            said += piece
        os.close(leader)
        return process.wait(), said.decode("utf-8", "replace").replace("\r\n", "\n")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # how Linux says that nothing holds the terminal's other side any more
        return b""


def picture(said: str) -> str:
    """The session as SVG. A page that shows it asks no other server for fonts."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text("$ funai demo", style="bold"))
    console.print(Text.from_ansi(said.strip("\n")))
    made = FONT_FACE.sub("", console.export_svg(title="funai demo"))
    return "\n".join(line.rstrip() for line in made.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
