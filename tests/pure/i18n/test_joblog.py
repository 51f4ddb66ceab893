"""The job log's lines: all that the code names exist, and none is left over."""

from __future__ import annotations

import re
from pathlib import Path

from funai.i18n.joblog import LINES, both
from funai.runner.build.advice import SIGNS

SRC = Path(__file__).parents[3] / "src" / "funai"
NAMED = re.compile(r"""\b(?:both\(\s*|LINES\[)["'](\w+)["']""")


def test_lines_are_those_that_the_code_names() -> None:
    named = {name for path in SRC.rglob("*.py") for name in NAMED.findall(path.read_text(encoding="utf-8"))}
    assert named | {sign.line for sign in SIGNS} == set(LINES)


def test_both_what_a_tenant_wrote_is_no_format() -> None:
    assert both("unreachable_from_runner", url="http://{x}", last="{0}") == (
        "无法从执行者访问 http://{x}（{0}），以容器在运行为准 / can't be reached from the runner: the container runs"
    )
