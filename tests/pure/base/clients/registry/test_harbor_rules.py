"""Which retention rules of Harbor's would take an image that the platform keeps."""

from __future__ import annotations

from typing import Any

import pytest

from funai.base.clients.registry.harbor_rules import CLEANUP, endangering, keep_all, lacks, robot_body, switched_off


def rule(template: str = "latestPushedK", repo: str = "**", how: str = "repoMatches", **changes: Any) -> dict[str, Any]:
    tags = [{"kind": "doublestar", "decoration": "matches", "pattern": "**"}]
    scope = {"repository": [{"kind": "doublestar", "decoration": how, "pattern": repo}]}
    base = {"template": template, "params": {template: 10}, "tag_selectors": tags, "scope_selectors": scope}
    return {**base, **changes}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([], []),
        ([rule()], ["latestPushedK(10)"]),
        ([rule(disabled=True)], []),
        ([rule("nDaysSinceLastPull", "u*")], ["nDaysSinceLastPull(10)"]),
        ([rule(repo="base-*")], []),
        ([rule(repo="{base-*,u1-*}")], ["latestPushedK(10)"]),
        ([rule(repo="u*-app*", how="repoExcludes")], []),
        ([rule(repo="base-*", how="repoExcludes")], ["latestPushedK(10)"]),
        ([rule("always", params={})], ["always"]),  # it leaves untagged images out, which kept releases may be
        ([rule(scope_selectors=None)], ["latestPushedK(10)"]),
    ],
)
def test_rules_that_would_take_images_of_apps_are_described(rules: list[dict[str, Any]], told: list[str]) -> None:
    assert endangering({"rules": rules}) == told


def test_everything_always_makes_any_other_rule_harmless() -> None:
    assert endangering(keep_all(3)) == []
    assert endangering({"rules": [rule(), *keep_all(3)["rules"]]}) == []


def test_switched_off_policy_takes_nothing() -> None:
    off = switched_off(
        {"id": 1, "rules": [rule(), rule("nDaysSinceLastPush")], "trigger": {"settings": {"cron": "0 0 * * * *"}}}
    )
    assert endangering(off) == []
    assert off["trigger"]["settings"]["cron"] == ""
    assert off["id"] == 1


@pytest.mark.parametrize("change", [{"disable": True}, {"duration": 30}, {"permissions": []}, {"permissions": None}])
def test_robot_lacks_what_it_needs_when_it_is_disabled_expires_or_may_less(change: dict[str, Any]) -> None:
    whole = robot_body(CLEANUP, "funaistudio", wishes=False)
    assert not lacks(whole, CLEANUP)
    assert lacks({**whole, **change}, CLEANUP)
