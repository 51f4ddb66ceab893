"""Start scripts, down to the command that is the app."""

from __future__ import annotations

import json

import pytest

from funai.dockerfile.node.findings import notices
from funai.dockerfile.node.start import Start, read_start, script_call, split_commands
from tests.pure.dockerfile.node.projects import planned, project, starts

API = {"name": "@shop/api", "scripts": {"start": "node server.js", "serve": "node serve.js"}}


def read(script: str, **scripts: str) -> Start:
    package = {"workspaces": ["apps/*"], "scripts": {"start": script, **scripts}}
    return read_start(project(package, **{"apps/api/package.json": json.dumps(API)}), script)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("node server.js", "exec node server.js"),
        ("NODE_ENV=production node dist/main.js", "exec env NODE_ENV=production node dist/main.js"),
        ("cross-env A='b c' node x.js", "exec env A='b c' node x.js"),
        ("next start -p ${PORT:-3000}", "exec next start -p ${PORT:-3000}"),
        ("npx next start", "exec next start"),
        ("prisma migrate deploy && node s.js", "prisma migrate deploy && exec node s.js"),
        ("npm run serve", "exec node serve.js"),
        ("npm run serve -- --port 80", "exec node serve.js --port 80"),
        ("npm start -w apps/api", "cd /app/apps/api && exec node server.js"),
        ("npm start --workspace=@shop/api", "cd /app/apps/api && exec node server.js"),
        ("pnpm --filter @shop/api start", "cd /app/apps/api && exec node server.js"),
        ("yarn workspace @shop/api serve", "cd /app/apps/api && exec node serve.js"),
    ],
)
def test_start_of_a_plain_chain_becomes_the_last_command(script: str, line: str) -> None:
    start = read(script, serve="node serve.js")
    assert start.plain and start.shell() == line


@pytest.mark.parametrize(
    "script",
    [
        "nodemon server.js",
        "concurrently 'npm:a' 'npm:b'",
        "node a.js & node b.js",
        "node a.js | tee log",
        "node a.js || true",
        "echo $(date) && node a.js",
        "(node a.js)",
        "node a.js > out.log",
        "npm run nowhere",
        "cd apps/api && npm start",
        "npx --yes serve",
        "turbo run start",
        "sh start.sh",
        "NODE_ENV=production ./bin/start",
        "bash -c 'node a.js'",
    ],
)
def test_start_of_several_processes_keeps_its_shape(script: str) -> None:
    assert not read(script).plain


def test_start_with_hooks_runs_what_comes_before_and_nothing_after() -> None:
    assert read("node s.js", prestart="node migrate.js").shell() == "node migrate.js && exec node s.js"
    assert not read("node s.js", poststart="echo done").plain


@pytest.mark.parametrize(
    ("script", "files", "line"),
    [
        ("node --env-file=.env server.js", {}, "exec node server.js"),
        ("node --env-file ./.env server.js", {".env": "A=1"}, "exec node server.js"),
        ("tsx --env-file='.env.local' s.ts", {".env.local": ""}, "exec tsx s.ts"),
        ("node --env-file=.env.production s.js", {".env.production": ""}, "exec node --env-file=.env.production s.js"),
        ("node --env-file .env s.js", {".env": "", ".dockerignore": ""}, "exec node --env-file=.env s.js"),
        ("node --env-file-if-exists=.env s.js", {}, "exec node --env-file-if-exists=.env s.js"),
        ("mine --env-file=.env", {}, "exec mine --env-file=.env"),
    ],
)
def test_start_names_no_env_file_that_the_image_lacks(script: str, files: dict[str, str], line: str) -> None:
    plan = planned(starts(script), files)
    assert plan.start and plan.start.shell() == line
    told = [n for n in notices(plan) if n.code == "ENV_FILE_LEFT_OUT" and "--env-file" in n.words.en]
    assert bool(told) is ("--env-file" not in line)


def test_start_that_calls_itself_ends() -> None:
    start = read("npm run again", again="npm start")
    assert not start.plain and start.opaque


def test_script_call_reads_only_what_is_surely_one_script() -> None:
    assert script_call("yarn", ["start:prod"]) and script_call("npm", ["start"])
    for program, words in (("npm", ["ci"]), ("npm", ["--unknown", "start"]), ("yarn", ["install"]), ("node", ["start"])):
        assert script_call(program, words) is None


def test_split_commands_survives_unclosed_quotes() -> None:
    assert split_commands("node 'a") == (None, False)


def _calls(times: int) -> dict[str, str]:
    """Scripts that each call the next one so often."""
    return {f"s{n}": " && ".join([f"npm run s{n + 1}"] * times) for n in range(9)}


@pytest.mark.parametrize(
    ("script", "scripts"),
    [
        ("npm run s0", _calls(20)),
        ("a;" * 250_000, {}),
        ("A=b " * 125_000 + "node s.js", {}),
        ("npm exec " * 100_000, {}),
        ("npm run s0 -- " + "x " * 250_000, {"s0": "node s.js"}),
    ],
)
def test_start_scripts_made_to_be_read_forever_are_opaque(script: str, scripts: dict[str, str]) -> None:
    assert read(script, **scripts).opaque
