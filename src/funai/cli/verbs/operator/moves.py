"""``nodes reassign``, ``drain``, ``drains``: apps from node to node, for an operator with an admin account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.session import Ended, Session
from funai.cli.verb import verb

if TYPE_CHECKING:
    from funai.contracts.apps.moves import DrainProgress
    from funai.contracts.nodes import DrainReport

EVERY = 1.0
"""Seconds between two looks of ``--watch``."""


def register(group: typer.Typer) -> None:
    verb(group, "reassign")(reassign)
    verb(group, "drain", epilog="funai nodes drain 3 --watch")(drain)
    verb(group, "drains", epilog="funai nodes drains 7 --cancel")(drains)


async def reassign(
    session: Session,
    app_id: Annotated[int, typer.Argument(metavar="APP_ID")],
    node_id: Annotated[int, typer.Argument(metavar="NODE_ID")],
) -> None:
    """Move an app to another node. It is served where it is until it is ready there."""
    from funai.contracts.nodes import Placement

    answer = await session.api.admin("POST", "reassign", json={"appId": app_id, "targetNodeId": node_id})
    session.out.document(answer)
    move = Placement.model_validate(answer).move if isinstance(answer, dict) else None
    if move is None:
        session.out.line(session.say("reassigned", app=app_id, node=node_id))
    else:
        session.out.line(session.say("moving", app=app_id, node=node_id, job=move.job_id or "-"))


async def drain(
    session: Session,
    node_id: Annotated[int, typer.Argument(metavar="NODE_ID", help="The node to empty.")],
    to: Annotated[
        int | None, typer.Option("--to", help="Where to; spread by the placement policy when left out.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many apps at most.")] = 100,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Until the running apps moved.")] = False,
) -> None:
    """Move apps off a node, a few at a time. Cordon it first, or new apps keep coming."""
    from funai.contracts.nodes import DrainReport

    body: dict[str, object] = {"sourceNodeId": node_id, "limit": limit, **({"targetNodeId": to} if to else {})}
    answer = await session.api.admin("POST", "drain", json=body)
    report = DrainReport.model_validate(answer)
    if not (watch and report.drain_id):
        session.out.document(answer)
    _tell(session, node_id, report)
    if watch and report.drain_id:
        await _watch(session, report.drain_id)


async def drains(
    session: Session,
    drain_id: Annotated[int | None, typer.Argument(metavar="[DRAIN]", help="Its id; all nodes' last when left out.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Until it ended.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Begin no more of its moves.")] = False,
) -> None:
    """Show how far drains are, and the apps of one with why they could not be moved."""
    from pydantic import TypeAdapter

    from funai.contracts.apps.moves import DrainProgress

    if drain_id is None:
        answer = await session.api.admin("GET", "drains/list")
        session.out.document(answer)
        rows = TypeAdapter(list[DrainProgress]).validate_python(answer or [])
        for shown in rows:
            session.out.line(sentence(session, shown))
        if not rows:
            session.out.line(session.say("no_drains"))
        return
    if cancel:
        await session.api.admin("POST", "drains/cancel", params={"id": drain_id})
        session.out.line(session.say("drain_off", id=drain_id))
    if watch:
        await _watch(session, drain_id)
        return
    _show(session, await session.api.admin("GET", "drains/info", params={"id": drain_id}))


async def _watch(session: Session, drain_id: int) -> None:
    """A line for each change, then the apps. Ends with ``Exit.FAILED`` where one could not be moved."""
    import asyncio

    from funai.contracts.apps.moves import DrainProgress

    last = ""
    while True:
        answer = await session.api.admin("GET", "drains/info", params={"id": drain_id})
        now = DrainProgress.model_validate(answer)
        if now.moving + now.waiting == 0 and now.state != "RUNNING":
            break
        if (line := sentence(session, now)) != last:
            session.out.line(line)
            last = line
        await asyncio.sleep(EVERY)
    _show(session, answer)
    if now.failed:
        raise Ended(Exit.FAILED)


def _show(session: Session, answer: object) -> None:
    from funai.contracts.apps.moves import DrainProgress

    shown = DrainProgress.model_validate(answer)
    session.out.document(answer)
    session.out.line(sentence(session, shown))
    rows = [(m.app_id, m.state, m.target_node_id, m.job_id, m.reason) for m in shown.moves]
    if rows:
        session.out.table(["app", "state", "to node", "job", "why"], rows)


def _tell(session: Session, node_id: int, report: DrainReport) -> None:
    running = report.moving or []
    if running:
        session.out.line(session.say("drain_begun", count=len(running), id=report.drain_id))
    if report.moved or report.skipped or not running:
        said = "drained" if report.moved_count is None else "drained_count"
        session.out.line(session.say(said, node=node_id, moved=report.placed_elsewhere, remaining=report.remaining))
    rows = [*((m.app_id, m.target_node_id, None) for m in report.moved), *((s.app_id, None, s.reason) for s in report.skipped)]
    if rows:
        session.out.table(["app", "to node", "why it stays"], sorted(rows, key=lambda row: row[0]))


def sentence(session: Session, shown: DrainProgress) -> str:
    counts = {name: getattr(shown, name) for name in ("moved", "total", "moving", "waiting", "failed", "cancelled")}
    return session.say("drain_progress", id=shown.id, node=shown.source_node_id, state=shown.state.value, **counts)
