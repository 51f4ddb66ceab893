"""What a build's last lines tell beyond its exit status."""

from __future__ import annotations

import pytest

from funai.runner.build.output import no_compiler, stale_lock


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because', "pnpm install"),
        (
            " ERR_PNPM_LOCKFILE_MISSING_DEPENDENCY  Broken lockfile: no entry for 'is-odd@3.0.0' in pnpm-lock.yaml",
            "pnpm install",
        ),
        (
            "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync.",
            "npm install",
        ),
        ("error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.", "yarn install"),
        ("➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.", "yarn install"),
        ("error: lockfile had changes, but lockfile is frozen", "bun install"),
    ],
)
def test_a_lock_file_that_does_not_fit_is_told_with_the_command_that_mends_it(line: str, command: str) -> None:
    said = stale_lock(["[3/3] STEP 2/8", line])
    assert said
    assert f"run `{command}`" in said
    assert f"运行 {command}" in said


def test_other_failures_say_nothing_of_lock_files() -> None:
    assert stale_lock(["npm error code E404", "RUN pnpm install --frozen-lockfile", "sh: 1: vite: not found"]) is None


@pytest.mark.parametrize(
    "line",
    ["npm error gyp ERR! find Python", "gyp ERR! stack Error: not found: make", "npm error sh: 1: node-gyp: Permission denied"],
)
def test_no_compiler_names_what_the_image_lacks(line: str) -> None:
    assert "python3 make g++" in (no_compiler(["[1/3] STEP 4/4: RUN npm ci", line]) or "")
    assert no_compiler(["gyp ERR! build error", "error: a.cc:1: expected ;"]) is None
