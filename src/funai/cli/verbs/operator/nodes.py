"""``nodes …``: the runtime nodes, for an operator with an admin account."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from funai.cli.session import Refused, Session
from funai.cli.verb import verb

Name = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Runtime nodes, for an admin: list, enable, drain, remove, reassign, placements, runners.", no_args_is_help=True
    )
    verb(group, "list")(list_nodes)
    verb(group, "enable")(enable)
    verb(group, "disable")(disable)
    verb(group, "placements")(placements)
    verb(group, "reassign")(reassign)
    verb(group, "drain")(drain)
    verb(group, "remove")(remove)
    verb(group, "runners")(runners)
    verb(group, "credentials")(credentials)
    verb(group, "grant", epilog="funai nodes grant runner builder-2")(grant)
    verb(group, "revoke")(revoke)
    app.add_typer(group, name="nodes", rich_help_panel="Operate")


async def list_nodes(session: Session) -> None:
    """List runtime nodes with their health."""
    from funai.contracts.nodes import RuntimeNode

    rows = [RuntimeNode.model_validate(n) for n in items(await session.api.admin("GET", "list"))]
    session.out.document([n.to_wire() for n in rows])
    session.out.table(
        ["id", "name", "health", "free disk", "containers", "apps", "crash looping", "gateway"],
        [
            (
                n.id,
                n.name,
                n.health,
                None if n.disk_free_pct is None else f"{n.disk_free_pct:.0f}%",
                n.container_count,
                n.placements,
                " ".join(map(str, n.crash_looping)),
                n.gateway_base_url,
            )
            for n in rows
        ],
        empty=session.say("no_nodes"),
    )
    for n in rows:
        if n.problem:
            session.out.line(f"{n.name}: {n.problem}", "yellow")


async def enable(session: Session, name: Name) -> None:
    """Let a node take new apps."""
    await _set_enabled(session, name, True)


async def disable(session: Session, name: Name) -> None:
    """Let a node take no new apps; what it runs stays."""
    await _set_enabled(session, name, False)


async def placements(session: Session, node_id: Annotated[int, typer.Argument(metavar="NODE_ID")]) -> None:
    """List the apps placed on a node."""
    found = items(await session.api.admin("GET", "placements", params={"nodeId": node_id}))
    session.out.document(found)
    session.out.table(
        ["app", "node", "last active"],
        [(p.get("appId"), p.get("nodeId"), p.get("lastActiveAt")) for p in found],
        empty=session.say("no_placements", node=node_id),
    )


async def reassign(
    session: Session,
    app_id: Annotated[int, typer.Argument(metavar="APP_ID")],
    node_id: Annotated[int, typer.Argument(metavar="NODE_ID")],
) -> None:
    """Place an app on another node; its next deploy goes there."""
    answer = await session.api.admin("POST", "reassign", json={"appId": app_id, "targetNodeId": node_id})
    session.out.document(answer)
    session.out.line(session.say("reassigned", app=app_id, node=node_id))


async def drain(
    session: Session,
    node_id: Annotated[int, typer.Argument(metavar="NODE_ID", help="The node to empty.")],
    to: Annotated[
        int | None, typer.Option("--to", help="Where to; spread by the placement policy when left out.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many apps at most.")] = 100,
) -> None:
    """Move apps off a node."""
    from funai.contracts.nodes import DrainReport

    body: dict[str, Any] = {"sourceNodeId": node_id, "limit": limit, **({"targetNodeId": to} if to else {})}
    answer = await session.api.admin("POST", "drain", json=body)
    session.out.document(answer)
    report = DrainReport.model_validate(answer)
    session.out.line(session.say("drained", node=node_id, moved=len(report.moved), remaining=report.remaining))
    rows = [*((m.app_id, m.target_node_id, None) for m in report.moved), *((s.app_id, None, s.reason) for s in report.skipped)]
    if rows:
        session.out.table(["app", "to node", "why it stays"], sorted(rows, key=lambda row: row[0]))


async def remove(
    session: Session,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that still sends heartbeats; it is back with the next.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Forget a node that is gone for good. What it ran counts as stopped; the next deploy chooses another node."""
    if not yes:
        if session.out.as_json or not sys.stdin.isatty():
            raise Refused(session.say("ask_no_tty"))
        if not typer.confirm(session.say("node_remove_ask", node=name), err=True):
            raise Refused(session.say("aborted"))
    answer = await session.api.admin("POST", "remove", params={"name": name, "force": str(force).lower()})
    session.out.document(answer)
    session.out.line(session.say("node_removed", node=name, count=len(answer.get("apps", []))))


async def runners(session: Session) -> None:
    """List runners and when they were last seen."""
    from funai.contracts.nodes import RunnerInfo

    rows = [RunnerInfo.model_validate(r) for r in items(await session.api.admin("GET", "runners/list"))]
    session.out.document([r.to_wire() for r in rows])
    session.out.table(
        ["runner", "healthy", "jobs", "last seen"],
        [
            (r.runner_id, session.say("yes" if r.healthy else "no"), r.running_jobs, f"{r.last_seen_at:%Y-%m-%d %H:%M:%S}")
            for r in rows
        ],
        empty=session.say("no_runners"),
    )


async def credentials(session: Session) -> None:
    """List the credentials of runners and nodes; what is shared by all is not among them."""
    from funai.contracts.nodes import Credential

    rows = [Credential.model_validate(c) for c in items(await session.api.admin("GET", "credentials/list"))]
    session.out.document([c.to_wire() for c in rows])
    session.out.table(
        ["id", "kind", "name", "created"],
        [(c.id, c.kind, c.name, f"{c.created_at:%Y-%m-%d %H:%M}") for c in rows],
        empty=session.say("no_credentials"),
    )


async def grant(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="runner or node.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the runner or node.")],
) -> None:
    """Make a runner or node a credential of its own, for RUNNER_TOKEN or DEPLOY_NODE_TOKEN. It is shown this once."""
    made = await session.api.admin("POST", "credentials/create", json={"kind": kind, "name": name})
    session.out.document(made)
    session.out.line(session.say("credential_made", id=made.get("id"), name=name))
    session.out.line(str(made.get("token")), "bold")


async def revoke(session: Session, credential: Annotated[int, typer.Argument(metavar="ID", help="Its id.", min=1)]) -> None:
    """Revoke one credential; all others go on."""
    answer = await session.api.admin("POST", "credentials/revoke", params={"id": credential})
    session.out.document(answer)
    session.out.line(session.say("credential_revoked", id=credential))


async def _set_enabled(session: Session, name: str, enabled: bool) -> None:
    answer = await session.api.admin("POST", "set-enabled", params={"name": name, "enabled": str(enabled).lower()})
    session.out.document(answer)
    session.out.line(session.say("node_enabled" if enabled else "node_disabled", node=name))


def items(answer: Any) -> list[Any]:
    """The rows of a list answer, bare or as ``{"items": […]}``."""
    return list(answer.get("items", [])) if isinstance(answer, dict) else list(answer or [])  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
