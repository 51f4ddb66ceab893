"""Pages made from the code: the configuration reference and the list of reason words (``make docs`` writes both)."""

from __future__ import annotations

import sys

from funai.agent.settings import RuntimeSettings
from funai.api.settings import ApiSettings
from funai.base.config.settings import Settings, reference
from funai.console.settings import ConsoleSettings
from funai.deploy.settings import DeploySettings
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.settings import GatewaySettings
from funai.git.settings import GitSettings
from funai.i18n.hints import HINTS
from funai.i18n.reasons import MESSAGES
from funai.runner.settings import RunnerSettings

SERVICES: tuple[tuple[str, str, type[Settings]], ...] = (
    ("API", "funai serve api", ApiSettings),
    ("Console", "funai serve console", ConsoleSettings),
    ("Deploy", "funai serve deploy", DeploySettings),
    ("Runner", "funai serve runner", RunnerSettings),
    ("runtime-agent", "funai serve agent", RuntimeSettings),
    ("Gateway", "part of the runtime-agent's process, and of an edge's", GatewaySettings),
    ("Edge", "funai serve edge", EdgeSettings),
    ("Git server", "funai serve git", GitSettings),
)
HEAD = """# Configuration

Made from the settings classes by `make docs`; a test compares. Every setting has a dotted name for a `.properties` file
(`funai serve … --config FILE`) and an environment name; the environment wins. A value that can't be used stops the
service at start with the key, where the value came from, and the mend (exit status 2). Secrets must not be empty or
start with `CHANGE_ME`.

`funai up` makes addresses and secrets itself and takes all others from the environment and from
[`funai.toml`](operations.md#settings).

## Proxies

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` (`http://`, `https://`, `socks5://`, `socks5h://`) and `NO_PROXY` are read in one
place, for every process and for the command line; a lower-case spelling wins. `NO_PROXY` takes host names (with their
subdomains), `*.domain`, addresses, networks (`10.0.0.0/8`, `fd00::/8`), `10.*`, `host:port` and `*`. Loopback never goes
through a proxy, nor do calls between the platform's own services. A value that can't be used stops the start with a sentence.
Builds and apps get none of these variables: there may be a password in them.
"""


def render() -> str:
    """The whole page as Markdown."""
    out = [HEAD]
    for title, command, settings in SERVICES:
        out.append(f"\n## {title}\n\n`{command}`\n\n| setting | environment | default | meaning |\n|---|---|---|---|")
        for name, env, default, doc in reference(settings):
            shown = f"`{default}`" if default and default not in {"required", "made at start"} else default
            meaning = doc.replace("|", "\\|")
            out.append(f"| {'' if name == env else f'`{name}`'} | `{env}` | {shown} | {meaning} |")
    return "\n".join(out) + "\n"


REASONS_HEAD = """# Troubleshooting by reason word

Made from the message catalogue by `make docs`; a test compares. Every refusal of the API has a `reason`, every failed job a
`failure.code`: find the word here. `{…}` stands for what the message fills in. Job logs (`funai logs APP`) have the lines that
matter first, and `funai doctor` checks a machine and its server.

| word | what it says | what to do |
|---|---|---|
"""


def reasons() -> str:
    """The list of reason words as Markdown, in English."""
    rows = [
        f"| `{word}` | {_cell(says)} | {_cell(HINTS.get(word, ('', ''))[1])} |" for word, (_, says) in sorted(MESSAGES.items())
    ]
    return REASONS_HEAD + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(reasons() if sys.argv[1:] == ["reasons"] else render())
