"""Whatever is sent to Deploy, it answers in its envelope and never with a 500."""

# pyright: basic
from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from schemathesis.checks import not_a_server_error

from tests.parts.extent import extent, only_in_full
from tests.service.deploy.queue.instance import instance
from tests.service.deploy.queue.kit import ADMIN, NODE, RUNNER, SECRET

PATIENCE = 120
"""Seconds; the machine may be busy with other tests."""
HEADERS = {"X-DEPLOY-SECRET": SECRET, "X-Runner-Token": RUNNER, "X-Admin-Token": ADMIN, "X-RT-Node-Token": NODE}
EFFORT = effort(
    max_examples=extent(2, 6),
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
)


@only_in_full  # tests/service/deploy/test_fuzz.py sends the same to one database in every run
def test_no_input_breaks_it(sqlite_url: str, postgres_url: str, mariadb_url: str, tmp_path: Path) -> None:
    """What was made once is sent to an instance on each database."""
    urls = {"sqlite": sqlite_url, "postgres": postgres_url, "mariadb": mariadb_url}
    with ExitStack() as instances:
        ports = [instances.enter_context(instance(url, tmp_path / f"{kind}.log"))[1] for kind, url in urls.items()]
        bases = [f"http://127.0.0.1:{port}" for port in ports]
        schema = schemathesis.openapi.from_dict(httpx.get(f"{bases[0]}/openapi.json").json())
        for found in schema.get_all_operations():
            try_out(found.ok(), bases)  # pyright: ignore[reportAttributeAccessIssue]


def try_out(operation: schemathesis.APIOperation, bases: list[str]) -> None:
    @EFFORT
    @given(case=operation.as_strategy())
    def one(case: schemathesis.Case) -> None:
        for part in (case.body, case.query):
            if isinstance(part, dict) and "waitSeconds" in part:
                part["waitSeconds"] = 0
        for base in bases:
            case.validate_response(case.call(base_url=base, headers=HEADERS, timeout=PATIENCE), checks=[not_a_server_error])

    one()
