from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from funai.api.compat import workspace


def test_columns_are_kept_as_json_has_them_and_by_their_names_on_the_wire() -> None:
    row = {
        "id": 7,
        "workspace_run_state": "运行",
        "WORKSPACE_RUN_PID": 77,
        "workspace_has_package": b"\x01",
        "workspace_score": Decimal("1.0000"),
        "workspace_share": Decimal("0.5"),
        "workspace_seen_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        "workspace_error": None,
    }
    assert workspace.fields(workspace.kept(row)) == {
        "workspaceRunState": "运行",
        "workspaceRunPid": 77,
        "workspaceHasPackage": True,
        "workspaceScore": 1,
        "workspaceShare": 0.5,
        "workspaceSeenAt": "2026-01-02T03:04:00+00:00",
    }


def test_app_without_such_columns_has_none() -> None:
    assert workspace.kept({"id": 7, "workspace_error": None}) is None
    assert workspace.fields(None) == {}
