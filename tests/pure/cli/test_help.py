from __future__ import annotations

import typer

from funai.cli import help as frontpage
from funai.cli.main import build, entries
from funai.standalone import cli as standalone


def test_every_verb_stands_in_a_group_with_its_help() -> None:
    listed = entries(build())
    assert [e for e in listed if e.group not in frontpage.ORDER or not e.help] == []
    assert len({e.name for e in listed}) == len(listed)


def test_the_page_fits_a_terminal() -> None:
    page = frontpage.render(entries(build()), colour=False)
    assert max(len(line) for line in page.splitlines()) <= 100
    assert "\x1b" not in page
    assert "\x1b[1m" in frontpage.render(entries(build()), colour=True)


def test_the_page_names_the_verbs_that_the_platform_registers() -> None:
    app = typer.Typer()
    standalone.register(app)
    registered = {c.name for c in app.registered_commands} | {g.name for g in app.registered_groups}
    assert registered == {name for name, _, _ in frontpage.STANDALONE}


def test_every_example_begins_with_a_verb_that_exists() -> None:
    names = {e.name for e in entries(build())}
    commands = [command.split() for _, command, _ in frontpage.EXAMPLES]
    assert [words for words in commands if words[0] == "funai" and words[1] not in names] == []
