"""What ``funai --help`` shows: every verb in its group, and how one begins. Pure; needs neither Rich nor a parser."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

INTRO = "From a commit to a running web app."
EXAMPLES = (
    ("First time", "funai register", "make an account (or: funai login)"),
    ("", "funai keys add", "the SSH key you push with"),
    ("", "funai apps create shop --link", "an app, its repository, this folder's remote"),
    ("Every time", "git push funai HEAD:main", ""),
    ("", "funai deploy --follow", "watch it build and go live"),
    ("Afterwards", "funai logs --runtime -f", "what the app says"),
    ("", "funai rollback", "back to the release before"),
    ("No platform yet", "funai up", "all of it on this machine"),
)
FOOTER = (
    "funai VERB --help explains a verb. --json works with all but up and demo, for scripts.",
    "Exit status: 0 done, 1 the deploy or app failed, 2 wrong use or settings, 3 log in first,",
    "  4 refused, 5 not found, 6 platform unreachable or failed, 7 cancelled.",
    "Environment: FUNAI_SERVER, FUNAI_API_KEY (win over the login), FUNAI_LANG=zh|en.",
    "Completion: funai --install-completion",
)
ORDER = ("Deploy", "Apps", "Build", "Account", "Platform", "Operate")
STANDALONE = (
    ("up", "Platform", "Run the whole platform on this machine"),
    ("backup", "Platform", "Write all state into one file, also while the platform runs"),
    ("restore", "Platform", "Bring a backup into an empty data dir"),
    ("upgrade", "Platform", "Install another version, with a way back"),
    ("config", "Platform", "What funai up reads: check it, show what is in force"),
    ("node", "Operate", "Make this machine a runtime node of a platform: join, leave"),
    ("demo", "Platform", "Set up, deploy two apps, show where the time went, leave nothing behind"),
)
"""The verbs of ``funai.standalone``, listed here so that the front page needn't load it."""


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    group: str
    help: str


def first_sentence(text: str) -> str:
    """The first sentence of a docstring or help text, without its full stop."""
    line = " ".join(text.strip().split("\n\n")[0].split())
    return line.partition(". ")[0].rstrip(".")


def render(entries: Iterable[Entry], *, colour: bool) -> str:
    """The whole page, at most 100 columns wide."""
    bold, dim, cyan, off = ("\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m") if colour else ("", "", "", "")
    listed = list(entries)
    width = max(len(e.name) for e in listed)
    lines = [f"{bold}funai{off}  {INTRO}", ""]
    for label, command, meaning in EXAMPLES:
        tail = f"{dim}# {meaning}{off}" if meaning else ""
        lines.append(f"  {dim}{label:<16}{off}{cyan}{command:<31}{off}{tail}".rstrip())
    for group in ORDER:
        lines += ["", f"{bold}{group}{off}"]
        lines += [f"  {cyan}{e.name:<{width}}{off}  {e.help}" for e in listed if e.group == group]
    return "\n".join([*lines, "", *(f"{dim}{line}{off}" for line in FOOTER)])
