"""``logs``: what the build said, or with ``--runtime`` what the app says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.project.target import resolve
from funai.cli.session import Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.apps import Target

if TYPE_CHECKING:
    from funai.contracts.accounts import App


def register(app: typer.Typer) -> None:
    verb(app, "logs", panel="Deploy", epilog="funai logs shop --runtime --follow")(logs)


async def logs(
    session: Session,
    app: Target = None,
    job: Annotated[
        int | None, typer.Option("--job", "-j", help="This job's build log, not the latest one's.", show_default=False)
    ] = None,
    runtime: Annotated[
        bool, typer.Option("--runtime", "-r", help="The running app's output instead of the build log.")
    ] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, max=10_000, help="With --runtime: how many last lines.")] = 200,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what comes.")] = False,
) -> None:
    """Show an app's latest build log, or what the running app prints."""
    if job is not None:
        await _build_log(session, job, follow=follow)
        return
    target = await resolve(session, app)
    if runtime:
        await _runtime_log(session, target, tail=tail, follow=follow)
        return
    history = await session.api.history(target.user_id, target.id, 1)
    if not history:
        raise Refused(session.say("no_jobs"), Exit.NOT_FOUND)
    await _build_log(session, history[0].id, follow=follow)


async def _build_log(session: Session, job_id: int, *, follow: bool) -> None:
    say = printer(session)
    if follow:
        from funai.cli.follow import Retry, stream_log
        from funai.cli.output.views import PlainView

        end = await stream_log(session.api, job_id, 0, say, Retry(PlainView(session.out)))
    else:
        end = await _whole(session, job_id, say)
    if end == 0:
        session.out.aside(session.say("log_empty"))


async def _whole(session: Session, job_id: int, say: Callable[[str], None]) -> int:
    from funai.cli.output.loglines import Lines

    lines, offset = Lines(), 0
    while True:
        piece = await session.api.job_log(job_id, offset)
        for text in lines.feed(piece.chunk):
            say(text)
        if piece.final or piece.next_offset <= offset:
            break
        offset = piece.next_offset
    for text in lines.rest():
        say(text)
    return max(offset, piece.next_offset)


async def _runtime_log(session: Session, app: App, *, tail: int, follow: bool) -> None:
    from funai.cli.output.loglines import Lines

    lines, say, seen = Lines(), printer(session), False
    async with session.api.app_log_stream(app.user_id, app.id, tail=tail, follow=follow) as response:
        async for piece in response.aiter_text():
            seen = True
            for text in lines.feed(piece):
                say(text)
    for text in lines.rest():
        say(text)
    if not seen:
        session.out.aside(session.say("log_empty"))


def printer(session: Session) -> Callable[[str], None]:
    """Lines as they are, colours and all; as ``{"line":…}`` with ``--json``."""
    if session.out.as_json:
        return lambda text: session.out.event({"line": text})
    return session.out.line
