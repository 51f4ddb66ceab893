"""``usage``: what an app used of its node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.project.target import resolve
from funai.cli.session import Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target
from funai.contracts.states import Window
from funai.i18n.sizes import size

if TYPE_CHECKING:
    from funai.contracts.apps.usage import UsagePoint


def register(app: typer.Typer) -> None:
    verb(app, "usage", panel="Deploy", epilog="funai usage shop --window day")(usage)


async def usage(
    session: Session,
    app: Target = None,
    window: Annotated[Window, typer.Option("--window", "-w", help="How far back.")] = Window.HOUR,
) -> None:
    """Show an app's requests, processor time and memory, step by step."""
    target = await resolve(session, app)
    found = await session.api.usage(target.user_id, target.id, window)
    session.out.document(found.to_wire())
    rows = [_row(point) for point in found.points if point.requests or point.memory_bytes]
    session.out.table(
        ["from", "requests", "5xx", "average", "slowest", "in", "out", "cpu", "memory"], rows, empty=session.say("usage_none")
    )


def _row(point: UsagePoint) -> tuple[object, ...]:
    def of(value: float | None, unit: str = "") -> str:
        return "" if value is None else f"{value:g}{unit}"

    return (
        point.at.astimezone().strftime("%m-%d %H:%M"),
        of(point.requests),
        of(point.errors),
        of(point.average_ms, " ms"),
        of(point.slowest_ms, " ms"),
        size(point.bytes_in),
        size(point.bytes_out),
        of(point.cpu_percent, " %"),
        size(point.memory_bytes),
    )
