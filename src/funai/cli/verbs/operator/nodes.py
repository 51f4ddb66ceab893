"""``nodes …``: the runtime nodes, for an operator with an admin account."""

from __future__ import annotations

import re
import shlex
import sys
from typing import Annotated, Any

import typer

from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.operator import moves

Name = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Runtime nodes, for an admin: list, token, cordon, drain, remove, reassign, runners.",
        no_args_is_help=True,
    )
    verb(group, "list")(list_nodes)
    verb(group, "token", epilog="funai nodes token --name node-4 --ttl 1h")(token)
    verb(group, "enable")(enable)
    verb(group, "disable")(disable)
    verb(group, "cordon", epilog="funai nodes cordon node-2")(disable)
    verb(group, "uncordon")(enable)
    verb(group, "placements")(placements)
    moves.register(group)
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
        ["id", "name", "health", "free disk", "free memory", "containers", "apps", "crash looping", "versions", "gateway"],
        [
            (
                n.id,
                n.name,
                n.health,
                None if n.disk_free_pct is None else f"{n.disk_free_pct:.0f}%",
                None if n.memory_free_bytes is None else f"{n.memory_free_bytes / 2**30:.1f} GiB",
                n.container_count,
                n.placements,
                " ".join(map(str, n.crash_looping)),
                ", ".join(filter(None, (n.agent_version, n.engine))),
                n.gateway_base_url,
            )
            for n in rows
        ],
        empty=session.say("no_nodes"),
    )
    for n in rows:
        if n.held:
            session.out.line(session.say("node_held", node=n.name), "red")
        if n.drain and n.drain.state == "RUNNING":
            session.out.line(moves.sentence(session, n.drain))
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


async def remove(
    session: Session,
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that still sends heartbeats; it is back with the next.")
    ] = False,
    with_apps: Annotated[bool, typer.Option("--with-apps", help="Also while apps are placed there: they go off line.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Forget a node that is gone for good, and revoke its own credentials. Refused while apps are placed there."""
    if not yes:
        if session.out.as_json or not sys.stdin.isatty():
            raise Refused(session.say("ask_no_tty"))
        known = [n for n in items(await session.api.admin("GET", "list")) if n.get("name") == name]
        if not typer.confirm(
            session.say("node_remove_ask", node=name, apps=known[0].get("placements", 0) if known else 0), err=True
        ):
            raise Refused(session.say("aborted"))
    params = {"name": name, "force": str(force).lower(), "empty": str(not with_apps).lower()}
    answer = await session.api.admin("POST", "remove", params=params)
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
    kind: Annotated[str, typer.Argument(metavar="KIND", help="runner, node or edge.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the runner, node or edge.")],
) -> None:
    """Make a runner, node or edge a credential of its own (RUNNER_TOKEN, DEPLOY_NODE_TOKEN, edge.token), shown this once."""
    made = await session.api.admin("POST", "credentials/create", json={"kind": kind, "name": name})
    session.out.document(made)
    session.out.line(session.say("credential_made", id=made.get("id"), name=name))
    session.out.line(str(made.get("token")), "bold")


async def revoke(
    session: Session, credential: Annotated[str, typer.Argument(metavar="ID|NODE", help="A credential's id, or a node's name.")]
) -> None:
    """Revoke one credential, or all of a node's own; all others go on."""
    if credential.isascii() and credential.isdigit() and len(credential) < 19:
        answer = await session.api.admin("POST", "credentials/revoke", params={"id": int(credential)})
        session.out.document(answer)
        session.out.line(session.say("credential_revoked", id=credential))
        return
    rows = items(await session.api.admin("GET", "credentials/list"))
    own = [int(c["id"]) for c in rows if c.get("kind") == "node" and c.get("name") == credential]
    if not own:
        raise Refused(session.say("no_credential_of", node=credential), hint="funai nodes credentials")
    for number in own:
        await session.api.admin("POST", "credentials/revoke", params={"id": number})
    session.out.document({"node": credential, "revoked": own})
    session.out.line(session.say("node_credentials_revoked", node=credential, count=len(own)))


async def token(
    session: Session,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Good for this node alone; needed to replace one that is known.", show_default=False),
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it is good: 30m, 1h, 2d.")] = "1h",
) -> None:
    """Make a token with which one machine joins as a node, once: funai node join."""
    body: dict[str, Any] = {"ttlSeconds": _seconds(session, ttl), **({"name": name} if name else {})}
    made = await session.api.admin("POST", "join-tokens/create", json=body)
    session.out.document(made)
    session.out.line(session.say("join_token", expires=made.get("expiresAt")))
    session.out.line(str(made.get("token")), "bold")
    session.out.line(session.say("join_token_next"))
    session.out.line(f"funai node join --deploy-url http://DEPLOY:7002{f' --name {shlex.quote(name)}' if name else ''}")


def _seconds(session: Session, ttl: str) -> int:
    """``90m`` → 5400. Raises Refused."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", ttl.strip())
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]] if found else 0
    if not 60 <= seconds <= 7 * 86_400:
        raise Refused(session.say("ttl_bad", given=ttl))
    return seconds


async def _set_enabled(session: Session, name: str, enabled: bool) -> None:
    answer = await session.api.admin("POST", "set-enabled", params={"name": name, "enabled": str(enabled).lower()})
    session.out.document(answer)
    session.out.line(session.say("node_enabled" if enabled else "node_disabled", node=name))


def items(answer: Any) -> list[Any]:
    """The rows of a list answer, bare or as ``{"items": […]}``."""
    return list(answer.get("items", [])) if isinstance(answer, dict) else list(answer or [])  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
