"""What Deploy services of before and of today answer to an operator's calls, as the CLI and the console read it."""

from __future__ import annotations

from funai.contracts.nodes import DrainReport


def test_drain_report_of_an_older_deploy_is_a_number() -> None:
    report = DrainReport.model_validate({"moved": 3, "sourceNodeId": 7})
    assert (report.source_node_id, report.moved, report.placed_elsewhere) == (7, [], 3)
    assert DrainReport.model_validate({"moved": 0}).placed_elsewhere == 0


def test_drain_report_of_today_is_a_list() -> None:
    report = DrainReport.model_validate({"sourceNodeId": 7, "moved": [{"appId": 1, "targetNodeId": 2}], "remaining": 1})
    assert (report.placed_elsewhere, report.moved_count, report.remaining) == (1, None, 1)
