"""The command ``funai``: every verb registered, nothing heavy loaded until one runs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator

import typer
from typer.exceptions import TyperException

from funai.cli import help as frontpage
from funai.cli.exits import Exit
from funai.cli.operate import harbor
from funai.cli.output import streams
from funai.cli.output.output import Output
from funai.cli.verbs import account, apps, check, databases, deploy, domains, env, keys, life, logs, status, usage, version
from funai.cli.verbs.operator import doctor, imports, nodes, serve
from funai.i18n.language import pick

VERBS = (
    deploy,
    status,
    logs,
    usage,
    life,
    apps,
    env,
    domains,
    databases,
    check,
    account,
    keys,
    serve,
    imports,
    doctor,
    nodes,
    harbor,
    version,
)
"""In the order the help shows them."""
STANDALONE = "funai.standalone.cli"


def build() -> typer.Typer:
    """The command line over the API; ``up`` and ``demo`` come with :func:`add_standalone`."""
    app = typer.Typer(
        name="funai",
        help=frontpage.INTRO,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    for module in VERBS:
        module.register(app)
    return app


def add_standalone(app: typer.Typer) -> None:
    """``up`` and ``demo``: the platform on one machine. They are absent where only the client is installed."""
    if importlib.util.find_spec(STANDALONE) is not None:
        importlib.import_module(STANDALONE).register(app)


def main() -> None:
    """The entry point: one command, and an exit status also when its output is lost."""
    streams.settle()
    code: str | int | None = None
    lost: streams.OutputLost | None = None
    try:
        _run(sys.argv[1:])
    except SystemExit as e:
        code = e.code
    except streams.OutputLost as e:
        lost = e
    lost = streams.let_go() or lost
    if lost is not None:
        streams.complain(lost)
        code = int(lost.exit_code)
    if code is not None:
        sys.exit(code)


def _run(words: list[str]) -> None:
    """Leaves by SystemExit. With ``--json`` a usage error is JSON too."""
    app = build()
    if words in ([], ["--help"], ["-h"]) and not os.environ.get("_FUNAI_COMPLETE"):
        print(frontpage.render(entries(app), colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
        return
    if words[:1] == ["--version"]:
        words[:1] = ["version"]
    if not words or words[0] not in {e.name for e in _registered(app)}:
        add_standalone(app)
    if "--json" not in words:
        app(args=words, prog_name="funai")
        return
    try:
        sys.exit(app(args=words, prog_name="funai", standalone_mode=False))
    except TyperException as e:
        output = Output(as_json=True, language=pick(os.environ))
        output.error(e.format_message(), "funai --help", reason="USAGE", exitCode=int(Exit.USAGE))
        sys.exit(int(Exit.USAGE))


def entries(app: typer.Typer) -> list[frontpage.Entry]:
    """Everything the front page lists."""
    found = list(_registered(app))
    if importlib.util.find_spec("funai.standalone") is not None:
        found += [frontpage.Entry(*row) for row in frontpage.STANDALONE]
    return found


def _registered(app: typer.Typer) -> Iterator[frontpage.Entry]:
    for verb in app.registered_commands:
        text = verb.help or (verb.callback.__doc__ if verb.callback else "") or ""
        yield frontpage.Entry(verb.name or "", verb.rich_help_panel or "", frontpage.first_sentence(text))
    for group in app.registered_groups:
        told = group.typer_instance.info if group.typer_instance else group
        yield frontpage.Entry(group.name or "", group.rich_help_panel or "", frontpage.first_sentence(str(told.help or "")))


if __name__ == "__main__":
    main()
