"""What every verb shares: ``--json`` and ``--server``, a Session, and errors that leave as an exit status."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_type_hints

import typer

from funai.cli.exits import Exit, exit_for_error
from funai.cli.session import Ended, Refused, Session
from funai.contracts.errors import ConfigError, FunaiError
from funai.i18n.hints import hint
from funai.i18n.reasons import MESSAGES, render

_COMMON = "Common options"
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON.", rich_help_panel=_COMMON)]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="The platform to talk to (else FUNAI_SERVER, else the last login).",
                 rich_help_panel=_COMMON, show_default=False),
]  # fmt: skip


def verb(app: typer.Typer, name: str, *, panel: str | None = None, server: bool = True, **options: Any) -> Callable[..., Any]:
    """Register ``func(session, …)``, plain or async, as the command ``name``.

    The first parameter receives the Session; the others are Typer's. ``server=False`` for verbs that call no API.
    """

    def register(func: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(func, include_extras=True)
        given = list(inspect.signature(func).parameters.values())[1:]
        own = [p.replace(annotation=hints[p.name]) for p in given]
        kind = inspect.Parameter.KEYWORD_ONLY
        shared = [inspect.Parameter("as_json", kind, default=False, annotation=JsonFlag)]
        if server:
            shared.append(inspect.Parameter("server_url", kind, default=None, annotation=ServerOption))

        @functools.wraps(func)
        def command(**values: Any) -> None:
            session = Session(as_json=values.pop("as_json"), server=values.pop("server_url", None))
            code = run(session, lambda: func(session, **_readable(values)))
            if code is not Exit.OK:
                raise typer.Exit(int(code))

        ordered = [p.replace(kind=kind) for p in own]
        command.__signature__ = inspect.Signature([*ordered, *shared])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in [*ordered, *shared]}
        command.__dict__.pop("__wrapped__", None)
        app.command(name, rich_help_panel=panel, **options)(command)
        return func

    return register


def _readable(values: dict[str, Any]) -> dict[str, Any]:
    """Raises UnicodeError for bytes that no text has; in a path they are fine."""
    for value in values.values():
        for text in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(text, str):
                text.encode()
    return values


def run(session: Session, work: Callable[[], Awaitable[None] | None]) -> Exit:
    """Do the verb's work; every way it can end becomes a message and an exit status."""
    try:
        result = work()
        if inspect.iscoroutine(result):
            import asyncio

            asyncio.run(_closing(session, result))
    except Ended as e:
        return e.exit_code
    except Refused as e:
        session.out.error(e.message, e.hint or hint(e.reason, session.language, session.known),
                          reason=e.reason, exitCode=int(e.exit_code))  # fmt: skip
        return e.exit_code
    except ConfigError as e:
        for problem in e.problems:
            session.out.error(problem, reason="CONFIG", exitCode=int(Exit.USAGE))
        return Exit.USAGE
    except FunaiError as e:
        return refuse(session, e)
    except UnicodeError:
        session.out.error(session.say("not_utf8"), reason="BAD_INPUT", exitCode=int(Exit.USAGE))
        return Exit.USAGE
    except OSError as e:
        if e.filename is None:  # a reader that left, a disk that broke: not of any file that was named
            raise
        session.out.error(f"{e.filename}: {e.strerror}", reason="FILE", exitCode=int(Exit.USAGE))
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        if session.on_interrupt:
            session.on_interrupt()
        return Exit.INTERRUPTED
    return Exit.OK


def refuse(session: Session, error: FunaiError) -> Exit:
    """Say a refusal with what to do next; answers its exit status."""
    from funai.base.clients.transport import Unreachable

    code = exit_for_error(error)
    reason = "UNREACHABLE" if isinstance(error, Unreachable) else error.reason
    said = in_language(error, session.language)
    if isinstance(error, Unreachable):
        said = session.say("unreachable", server=session.access.server, detail=error.params["detail"])
    session.out.error(
        said, hint(reason, session.language, session.known, code=error.code),
        code=error.code, reason=reason, exitCode=int(code), traceId=session.trace_id,
    )  # fmt: skip
    if error.code >= 500 and not isinstance(error, Unreachable):
        session.out.aside(f"traceId: {session.trace_id}")
    return code


def in_language(error: FunaiError, language: str) -> str:
    """The error's words. What was relayed from a process that didn't know the language is said again from the catalogue."""
    entry = MESSAGES.get(error.reason)
    plain = entry is not None and "{" not in entry[0]
    return render(error.reason, language, {}) if plain and error.message(language) in (entry or ()) else error.message(language)


async def _closing(session: Session, work: Awaitable[None]) -> None:
    try:
        await work
    finally:
        await session.close()
