"""The command ``funai``: every verb registered, nothing heavy loaded until one runs."""

from __future__ import annotations

import importlib.util
import os
import sys

import typer
from typer.exceptions import TyperException

from funai.cli.exits import Exit
from funai.cli.language import pick
from funai.cli.output import Output
from funai.cli.verbs import account, apps, check, deploy, doctor, env, keys, life, logs, nodes, serve, status, version

HELP = """From a commit to a running web app.

[dim]First time:[/dim]   funai register · funai keys add · funai apps create shop --link
[dim]Every time:[/dim]   git push funai HEAD:main && funai deploy --follow
[dim]An image:[/dim]     funai deploy shop --image registry.example.com/team/shop:1.4 --port 80
[dim]Look after:[/dim]   funai status · funai logs --runtime -f · funai rollback
"""
EPILOG = (
    "Exit status: 0 done · 1 the deploy or app failed · 2 wrong use or settings · 3 log in · 4 refused · 5 not found · "
    "6 platform unreachable or failed · 7 cancelled. Add --json to any verb for scripts. "
    "FUNAI_SERVER and FUNAI_API_KEY override the login; FUNAI_LANG=zh|en sets the language."
)
VERBS = (deploy, status, logs, life, apps, env, check, account, keys, serve, nodes, doctor, version)
"""In the order ``funai --help`` shows them."""


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="funai", help=HELP, epilog=EPILOG, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )  # fmt: skip
    for module in VERBS:
        module.register(app)
    return app


def add_standalone(app: typer.Typer) -> None:
    """``up`` and ``demo``: the platform on one machine. They are absent where only the client is installed."""
    if importlib.util.find_spec("funai.standalone.cli") is not None:
        importlib.import_module("funai.standalone.cli").register(app)


def main() -> None:
    """The entry point. With ``--json`` also a wrong use is told in JSON."""
    app = build()
    if not _is_ours(app, sys.argv[1:2]):
        add_standalone(app)
    if sys.argv[1:] in (["--help"], ["-h"]) and not os.environ.get("_FUNAI_COMPLETE"):
        # Parsing options would load pydantic, which the front page has no use for.
        command = typer.main.get_command(app)
        command.get_help(typer.Context(command, info_name="funai"))
        return
    if "--json" not in sys.argv[1:]:
        app(prog_name="funai")
        return
    try:
        sys.exit(app(prog_name="funai", standalone_mode=False))
    except TyperException as e:
        output = Output(as_json=True, language=pick(os.environ))
        output.error(e.format_message(), "funai --help", reason="USAGE", exitCode=int(Exit.USAGE))
        sys.exit(int(Exit.USAGE))


def _is_ours(app: typer.Typer, first: list[str]) -> bool:
    """Whether the first word is a verb or noun registered so far; then the platform's own code needn't be loaded."""
    return bool(first) and first[0] in {info.name for info in [*app.registered_commands, *app.registered_groups]}
