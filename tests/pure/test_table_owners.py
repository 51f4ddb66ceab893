"""A noun's tables are written by that noun's folder alone, and read elsewhere only where a reason stands here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "funai"
WRITES = {"insert", "update", "delete"}
OWNERS = {
    "api": {
        "users": "accounts",
        "ssh_keys": "accounts",
        "apps": "apps",
        "app_env": "apps",
        "repo_discards": "repos",
        "idempotency": "deploys",
        "old_jobs": "compat",
    },
    "deploy": {
        "job": "queue",
        "job_event": "events",
        "job_log": "logs",
        "release": "releases",
        "app_run": "releases",
        "runtime_node": "placement",
        "placement": "placement",
        "leftover": "placement",
        "runner": "queue",
        "domain": "domains",
        "credential": "access",
        "join_token": "access",
        "route_change": "edge",
        "route_revision": "edge",
        "drain": "moves",
        "move": "moves",
        "alert": "alerts",
    },
}
TOGETHER = {
    ("job", "logs"): "how far a job's log goes stands in the job's row, and is written with the piece",
    ("job_log", "queue"): "a job and its log are dropped in one transaction",
    ("app_run", "placement"): "a node that is removed leaves its apps' runs without a node",
}
"""Writers beside the owner, each with its reason."""
READERS = {
    "api": {
        (
            "apps",
            "deploys",
        ): "unfinished operations are found by conditions of their own, in one statement",
        ("apps", "repos"): "a repository's place in its queue stands in the app's row",
        ("apps", "importing.py"): "tables of before are taken over whole",
        ("users", "importing.py"): "tables of before are taken over whole",
        ("old_jobs", "importing.py"): "tables of before are taken over whole",
        ("users", "apps"): "the owner's name is shown with the app",
        ("users", "models.py"): "whatever is counted per user is counted under the lock of the user's row",
        ("users", "repos"): "the Git account that is linked stands in the user's row",
        ("ssh_keys", "repos"): "the keys are copied to the Git account that is linked",
    },
    "deploy": {
        ("runtime_node", "queue"): "a claim answers with its node, in the statement that claims",
        ("placement", "queue"): "a claim looks where the app is placed, in the statement that claims",
        ("domain", "queue"): "a job's view has the app's own address: a subquery of the statement that reads the job",
        ("job_log", "queue"): "a job and its log are dropped in one transaction",
        ("app_run", "apps"): "the overview of many apps is one statement",
        ("release", "apps"): "the overview of many apps is one statement",
        ("job", "apps"): "the overview of many apps is one statement",
        ("runtime_node", "apps"): "the overview of many apps is one statement",
        ("app_run", "edge"): "the route table is a view of where apps run",
        ("placement", "edge"): "the route table is a view of where apps run",
        ("domain", "edge"): "the route table is a view of where apps run",
        ("runtime_node", "edge"): "the route table is a view of where apps run",
        ("app_run", "placement"): "a node that is removed leaves its apps' runs without a node",
        ("job", "placement"): "whether a job of the app runs is seen in the transaction that places it elsewhere",
        ("job", "moves"): "moves under way are read with how their jobs stand",
        ("release", "moves"): "an app is moved only from a release that is kept",
        ("runtime_node", "moves"): "one drain a node: the node's row is locked",
        ("job", "logs"): "a piece of log is written under the lock of the job's row",
        ("job", "releases"): "images of an app with an active job are not removed",
        ("job", "compat"): "text ids of before are found beside the job",
    },
}
"""Folders that read another noun's table, each with its reason: by (table, folder)."""


@cache
def written(room: str) -> frozenset[tuple[str, str]]:
    """(table, folder) of each INSERT, UPDATE and DELETE that the room builds."""
    return frozenset(_written(room))


def _written(room: str) -> Iterator[tuple[str, str]]:
    for path in sorted((SRC / room).rglob("*.py")):
        folder = path.relative_to(SRC / room).parts[0]
        if folder == "migrations":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in WRITES:
                continue
            for given in node.args[:1]:
                if isinstance(given, ast.Name) and given.id in tables(room):
                    yield given.id, folder


@cache
def tables(room: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(\w+) = Table\(", (SRC / room / "tables.py").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("room", OWNERS)
def test_each_table_is_written_by_its_owner_alone(room: str) -> None:
    found = set(written(room)) - set(TOGETHER)
    assert {(table, folder) for table, folder in found if OWNERS[room].get(table, folder) != folder} == set()
    assert len({table for table, _ in found}) == len(found), "a table that isn't named above has one writer too"


@pytest.mark.parametrize("room", OWNERS)
def test_each_owner_is_of_a_table_that_exists(room: str) -> None:
    assert set(OWNERS[room]) <= tables(room)
    assert len({table for table, _ in written(room)}) > len(OWNERS[room]) / 2, "the walk finds what it looks for"


def test_each_writer_beside_the_owner_is_still_one() -> None:
    assert set(TOGETHER) <= {pair for room in OWNERS for pair in written(room)}


def imported(room: str) -> Iterator[tuple[str, str]]:
    """(table, folder) of each table that a folder takes from the room's ``tables``."""
    for path in sorted((SRC / room).rglob("*.py")):
        folder = path.relative_to(SRC / room).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            of_tables = isinstance(node, ast.ImportFrom) and node.module == f"funai.{room}.tables"
            if of_tables and folder not in ("migrations", "tables.py"):
                yield from ((given.name, folder) for given in node.names)


@pytest.mark.parametrize("room", OWNERS)
def test_each_reader_beside_the_owner_has_its_reason(room: str) -> None:
    foreign = {(table, folder) for table, folder in imported(room) if OWNERS[room].get(table, folder) != folder}
    assert foreign == set(READERS[room])
