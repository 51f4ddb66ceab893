"""What every verb shares: ``--json`` and ``--server``, a Session, and errors that leave as an exit status."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from funai.cli.exits import Exit, exit_for_error
from funai.cli.session import Ended, Refused, Session
from funai.contracts.errors import ConfigError, FunaiError, NotReady
from funai.contracts.reasons import Reason
from funai.i18n.hints import hint

_COMMON = "Common options"
JsonFlag = Annotated[bool, typer.Option("--json", help="Answer in JSON.", rich_help_panel=_COMMON)]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="The platform to talk to (else FUNAI_SERVER, else the last login).",
        rich_help_panel=_COMMON,
        show_default=False,
    ),
]
AppOption = Annotated[str | None, typer.Option("--app", "-a", hidden=True)]
"""Every verb that takes the app as its argument takes it as an option too: some did so before the others."""


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
        names_app = any(p.name == "app" and p.default is None and _is_argument(p) for p in own)
        if names_app:
            shared.append(inspect.Parameter("app_option", kind, default=None, annotation=AppOption))
        if server:
            shared.append(inspect.Parameter("server_url", kind, default=None, annotation=ServerOption))

        @functools.wraps(func)
        def command(**values: Any) -> None:
            session = Session(as_json=values.pop("as_json"), server=values.pop("server_url", None))
            if names_app:
                values["app"] = (values["app"], values.pop("app_option"))
            code = run(session, lambda: func(session, **_readable(session, values)))
            if code is not Exit.OK:
                raise typer.Exit(int(code))

        ordered = [p.replace(kind=kind) for p in own]
        command.__signature__ = inspect.Signature([*ordered, *shared])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in [*ordered, *shared]}
        command.__dict__.pop("__wrapped__", None)
        app.command(name, rich_help_panel=panel, **options)(command)
        return func

    return register


def _is_argument(parameter: inspect.Parameter) -> bool:
    return any(isinstance(word, ArgumentInfo) for word in getattr(parameter.annotation, "__metadata__", ()))


def _readable(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """Raises UnicodeError for bytes that no text has; in a path they are fine. Raises Refused for two different apps."""
    if isinstance(values.get("app"), tuple):
        given: list[str] = [word for word in values["app"] if word is not None]
        if len(set(given)) > 1:
            raise Refused(session.say("app_twice", one=given[0], other=given[1]))
        values["app"] = given[0] if given else None
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
        session.out.error(
            e.message, e.hint or hint(e.reason, session.language, session.known), reason=e.reason, exitCode=int(e.exit_code)
        )
        return e.exit_code
    except ConfigError as e:
        code = Exit.PLATFORM if isinstance(e, NotReady) else Exit.USAGE
        for problem in e.problems:
            session.out.error(problem, reason="CONFIG", exitCode=int(code))
        return code
    except FunaiError as e:
        return refuse(session, e)
    except UnicodeError:
        session.out.error(session.say("not_utf8"), reason=Reason.BAD_INPUT, exitCode=int(Exit.USAGE))
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
    from funai.cli.blame import NOT_FUNAI, UNREACHABLE, explain

    reason, message, advice = explain(session, error)
    code = Exit.PLATFORM if reason == NOT_FUNAI else exit_for_error(error)
    session.out.error(
        message,
        advice,
        code=error.code,
        reason=reason,
        exitCode=int(code),
        traceId=session.trace_id,
    )
    if error.code >= 500 and reason not in (UNREACHABLE, NOT_FUNAI):
        session.out.aside(f"traceId: {session.trace_id}")
    return code


async def _closing(session: Session, work: Awaitable[None]) -> None:
    try:
        await work
    finally:
        await session.close()
