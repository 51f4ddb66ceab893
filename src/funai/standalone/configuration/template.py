"""The ``funai.toml`` that a first start writes: every entry with its meaning, commented out, made from the model."""

from __future__ import annotations

import json
from pathlib import Path

from funai.base.files import write_whole
from funai.standalone.configuration.model import env_of, sections

HEAD = """# What `funai up` reads; --config names another file. Written at the first start and never changed by us after.
# A flag of `funai up` wins over the environment, the environment over this file. `funai config check` reads it without
# starting anything, `funai config show` tells what is in force and where it came from. Restart `funai up` after a change.
"""
TAIL = """
# Any other setting of a service, by its name in docs/configuration.md.
[settings]
# "deploy.job.max-attempts" = 3
# RUNTIME_APP_ALLOW = ["192.0.2.7:5432"]
"""


def render() -> str:
    out = [HEAD]
    for name, kind in sections().items():
        out.append(f"\n# {(kind.__doc__ or '').strip()}\n[{name}]\n")
        for key, info in kind.model_fields.items():
            out.append(f"# {info.description} (environment: {env_of(info)})\n# {key} = {_shown(info.default)}\n")
    return "".join([*out, TAIL])


def _shown(default: object) -> str:
    return '""' if default is None else json.dumps(default)


def ensure(file: Path) -> bool:
    """Write it where there is none; mode 0600, for a proxy's address may hold a password. Answers whether it did."""
    if file.exists():
        return False
    write_whole(file, render())
    return True
