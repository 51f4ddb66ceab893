"""What is kept of what a build prints."""

from __future__ import annotations

from funai.runner.build.output import Output

HELP = """npm error
npm error Clean install a project
npm error
npm error Usage:
npm error npm ci
npm error
npm error Options:
npm error [--install-strategy <hoisted|nested|shallow|linked>] [--legacy-bundling]
npm error aliases: clean-install, ic, install-clean, isntall-clean
npm error Run "npm help ci" for more info
npm error A complete log of this run can be found in: /var/cache/npm/_logs/debug-0.log
"""


async def test_lines_leave_out_the_help_that_npm_prints_below_a_reason() -> None:
    output = Output(1_000_000, lambda _: None)
    await output.take(f"npm error Missing: is-odd@3.0.1 from lock file\n{HELP * 9}Error: building at STEP 4\n".encode())
    assert output.lines() == ["npm error Missing: is-odd@3.0.1 from lock file", "Error: building at STEP 4"]
    assert len(output.recent()) > 50
