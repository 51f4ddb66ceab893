"""Answers as callers of an earlier API read them. It can go when every API reads ``appId`` and ``status`` of a stop."""

from __future__ import annotations


def stopped(user_id: int, app_id: int, node_id: int | None, agent_base_url: str | None) -> dict[str, object]:
    """The fields of a stop that only such callers read."""
    return {
        "userId": user_id,
        "nodeId": node_id,
        "agentBaseUrl": agent_base_url,
        "runtime": {"appId": str(app_id), "status": "STOPPED"},
    }
