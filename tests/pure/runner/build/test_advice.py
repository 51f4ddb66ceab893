"""The sentence that a build's tools earn when it fails."""

from __future__ import annotations

import pytest

from funai.runner.build.advice import advice

LOCK_NPM = "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync."
HEADERS = (
    "gyp ERR! stack FetchError: request to https://nodejs.org/download/release/v20.18.0/node-v20.18.0-headers.tar.gz failed"
)
PRISMA = "request to https://binaries.prisma.sh/all_commits/1/x.gz failed, reason: getaddrinfo ENOTFOUND binaries.prisma.sh"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because', "pnpm install"),
        (" ERR_PNPM_LOCKFILE_MISSING_DEPENDENCY  Broken lockfile: no entry for 'is-odd@3.0.0' in it", "pnpm install"),
        (LOCK_NPM, "npm install"),
        ("error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.", "yarn install"),
        ("➤ YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.", "yarn install"),
        ("error: lockfile had changes, but lockfile is frozen", "bun install"),
    ],
)
def test_advice_on_a_lock_file_that_does_not_fit_names_the_command(line: str, command: str) -> None:
    said = advice(["[3/3] STEP 2/8", line, *["npm error [--no-bin-links]"] * 30])
    assert said and f"run `{command}`" in said and f"运行 {command}" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("npm error gyp ERR! find Python", "python3 make g++"),
        ("gyp ERR! stack Error: not found: make", "python3 make g++"),
        ("npm error sh: 1: node-gyp: Permission denied", "python3 make g++"),
        (HEADERS, "such as node:20-bookworm"),
        (
            "no packages (openssl ca-certificates) from deb.debian.org",
            "openssl ca-certificates can't be had from deb.debian.org",
        ),
        ("npm error code ERESOLVE", "legacy-peer-deps=true into .npmrc"),
        (PRISMA, "PRISMA_ENGINES_MIRROR"),
        ("  code: 'ERR_OSSL_EVP_UNSUPPORTED'", "NODE_OPTIONS=--openssl-legacy-provider"),
        ("sh: 1: vite: not found", "the build runs vite"),
        ("Module not found: Error: Can't resolve '@acme/ui/x.css' in '/app/src'", "npm install @acme/ui "),
        ('[vite]: Rollup failed to resolve import "axios" from "/app/src/api.ts".', "npm install axios "),
        ("src/a.ts(1,21): error TS2307: Cannot find module 'zod' or its corresponding type declarations.", "npm install zod "),
        ("Module not found: Can't resolve './Header'", "commit the file"),
        ("Module not found: Can't resolve '@/components/Header'", "commit the file"),
    ],
)
def test_advice_names_what_to_change(line: str, words: str) -> None:
    said = advice(["[1/3] STEP 4/4: RUN npm ci", line])
    assert said and words in said


@pytest.mark.parametrize(
    "line",
    [
        "npm error code E404",
        "RUN pnpm install --frozen-lockfile",
        "gyp ERR! build error",
        "error: a.cc:1: expected ;",
        "Error: Cannot find module '/app/dist/index.js'",
        "Error: Cannot find module 'node:sqlite'",
        "sh: 1: vite: not found" + " " * 5_000,
    ],
)
def test_advice_on_anything_else_is_none(line: str) -> None:
    assert advice([line]) is None


def test_advice_tells_the_cause_before_what_follows_from_it() -> None:
    said = advice(["npm error sh: 1: node-gyp: not found", "no packages (python3 make g++) from http://mirror/debian"])
    assert said and "FUNAI_DEBIAN_MIRROR" in said
