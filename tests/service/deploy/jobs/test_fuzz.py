"""Whatever is sent to Deploy, it answers in its envelope and never with a 500."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from schemathesis.checks import not_a_server_error

from tests.service.deploy.jobs.instance import instance
from tests.service.deploy.jobs.kit import ADMIN, NODE, RUNNER, SECRET

HEADERS = {"X-DEPLOY-SECRET": SECRET, "X-Runner-Token": RUNNER, "X-Admin-Token": ADMIN, "X-RT-Node-Token": NODE}
EFFORT = effort(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_no_input_breaks_it(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    with instance(url, tmp_path / "deploy.log") as (_, port):
        base = f"http://127.0.0.1:{port}"
        schema = schemathesis.openapi.from_dict(httpx.get(f"{base}/openapi.json").json())
        schema.config.base_url = base
        for found in schema.get_all_operations():
            try_out(found.ok())


def try_out(operation: schemathesis.APIOperation) -> None:
    @EFFORT
    @given(case=operation.as_strategy())
    def one(case: schemathesis.Case) -> None:
        for part in (case.body, case.query):
            if isinstance(part, dict) and "waitSeconds" in part:
                part["waitSeconds"] = 0
        case.validate_response(case.call(headers=HEADERS), checks=[not_a_server_error])

    one()
