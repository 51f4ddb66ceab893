"""What Harbor's robots may do for the platform, and which of its retention rules would take an image that is needed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

SAMPLE = "u1-app1"
"""An app's repository, without its project, that scopes are tried on."""
_ANY = "**"


@dataclass(frozen=True, slots=True)
class Role:
    """A robot. ``access`` are resource and action; ``wish`` are such that an older Harbor gives to no robot."""

    name: str
    access: tuple[tuple[str, str], ...]
    wish: tuple[tuple[str, str], ...] = ()


RUNNER = Role("funai-runner", (("repository", "pull"), ("repository", "push")))
NODE = Role("funai-node", (("repository", "pull"),))
CLEANUP = Role(
    "funai-cleanup",
    (
        ("repository", "list"),
        ("repository", "read"),
        ("repository", "delete"),
        ("artifact", "list"),
        ("artifact", "read"),
        ("artifact", "delete"),
        ("tag", "list"),
        ("tag", "delete"),
    ),
    wish=(("project", "read"), ("tag-retention", "read")),
)
ROLES = (RUNNER, NODE, CLEANUP)


def robot_body(role: Role, project: str, *, wishes: bool) -> dict[str, Any]:
    """What makes or changes the robot: one that never expires, of one project."""
    pairs = role.access + (role.wish if wishes else ())
    access = [{"resource": resource, "action": action} for resource, action in pairs]
    return {
        "name": role.name,
        "description": "FunAI Deploy",
        "level": "project",
        "disable": False,
        "duration": -1,
        "permissions": [{"kind": "project", "namespace": project, "access": access}],
    }


def lacks(robot: Mapping[str, Any], role: Role) -> bool:
    """Whether a robot that is there can't do its work: it is disabled, expires, or has not the whole access."""
    if robot.get("disable") or robot.get("duration", -1) != -1:
        return True
    has = {
        (str(entry.get("resource")), str(entry.get("action")))
        for permission in robot.get("permissions") or ()
        for entry in permission.get("access") or ()
    }
    return not set(role.access) <= has


def keep_all(project_id: int) -> dict[str, Any]:
    """The retention policy that takes nothing, so that the platform's own retention is the only one."""
    return {
        "algorithm": "or",
        "rules": [
            {
                "disabled": False,
                "action": "retain",
                "template": "always",
                "params": {},
                "tag_selectors": [
                    {"kind": "doublestar", "decoration": "matches", "pattern": _ANY, "extras": json.dumps({"untagged": True})}
                ],
                "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": _ANY}]},
            }
        ],
        "trigger": {"kind": "Schedule", "settings": {"cron": ""}, "references": {}},
        "scope": {"level": "project", "ref": project_id},
    }


def switched_off(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The same policy with every rule disabled and no schedule."""
    rules = [{**rule, "disabled": True} for rule in policy.get("rules") or ()]
    return {**policy, "rules": rules, "trigger": {"kind": "Schedule", "settings": {"cron": ""}, "references": {}}}


def endangering(policy: Mapping[str, Any]) -> list[str]:
    """The enabled rules by which Harbor would delete images of apps, each in a few words; empty when it deletes none.

    Harbor takes whatever no rule retains, in the repositories that a rule is about. The platform keeps releases by digest, also
    old ones and untagged ones, so anything but "always, everything" may take one.
    """
    about_apps = [rule for rule in policy.get("rules") or () if not rule.get("disabled") and _touches(rule)]
    if any(rule.get("template") == "always" and _every_tag(rule) for rule in about_apps):
        return []
    return [_described(rule) for rule in about_apps]


def _touches(rule: Mapping[str, Any]) -> bool:
    scopes: dict[str, Any] = rule.get("scope_selectors") or {}
    selectors: list[dict[str, Any]] = scopes.get("repository") or []
    return all(_selects(selector, SAMPLE) for selector in selectors)


def _selects(selector: Mapping[str, Any], name: str) -> bool:
    found = any(fnmatchcase(name, pattern) for pattern in _patterns(str(selector.get("pattern", _ANY))))
    return found is not str(selector.get("decoration", "")).endswith("xcludes")


def _patterns(text: str) -> Iterator[str]:
    """``{a,b*}`` is several; two stars mean what one does where a name has no slash."""
    inner = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    yield from (part.strip().replace(_ANY, "*") for part in inner.split(","))


def _every_tag(rule: Mapping[str, Any]) -> bool:
    selectors: list[Mapping[str, Any]] = rule.get("tag_selectors") or []
    return bool(selectors) and all(
        s.get("pattern") == _ANY and s.get("decoration") == "matches" and _untagged_too(s.get("extras")) for s in selectors
    )


def _untagged_too(extras: Any) -> bool:
    try:
        read: Any = json.loads(extras) if isinstance(extras, str) and extras else {}
    except ValueError:
        return False
    return isinstance(read, dict) and read.get("untagged") is True  # pyright: ignore[reportUnknownMemberType]


def _described(rule: Mapping[str, Any]) -> str:
    values: dict[str, Any] = rule.get("params") or {}
    params = ", ".join(str(value) for value in values.values())
    return f"{rule.get('template')}{f'({params})' if params else ''}"
