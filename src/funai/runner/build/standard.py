"""The standard image for a checked-out Node project: reading the project, and writing what its build needs."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from funai.contracts.apps import buildspec
from funai.contracts.errors import BadInput
from funai.dockerfile.node.files import MAX_TEXT, ProjectFiles, collect
from funai.dockerfile.node.plan import Plan, make_plan
from funai.dockerfile.node.render import ADDRESS_FILE, TOOLS_FILE, VARS_FILE, extra_files, render, tool_variables
from funai.i18n.reasons import Words
from funai.runner.build.plan import IGNORE_FILES, Recipe, inside
from funai.runner.failures import invalid

MAX_PATHS = 300_000
MAX_LOCK = 16 * 1024 * 1024
_SKIPPED = ("node_modules", ".git")


def read_project(context: Path) -> ProjectFiles:
    """What the plan looks at. Links are followed inside the repository only. Raises JobFailed CONTRACT_INVALID."""

    def read(name: str) -> str | None:
        file = inside(context, name, name)
        if not file.is_file():
            return None
        limit = MAX_LOCK if name.endswith(("lock", "lock.json", "lock.yaml", "shrinkwrap.json")) else MAX_TEXT
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
        if len(data) > limit and name.endswith("package.json"):
            raise invalid(BadInput(detail=Words(f"{name} 过大", f"{name} is too large")))
        return data[:limit].decode("utf-8", "replace")

    try:
        return collect(read, paths_of(context))
    except BadInput as e:
        raise invalid(e) from e


def paths_of(context: Path) -> set[str]:
    """Files of the context, without packages; at most MAX_PATHS."""
    out: set[str] = set()
    for where, folders, names in os.walk(context):
        folders[:] = [f for f in folders if f not in _SKIPPED]
        inner = Path(where).relative_to(context)
        out.update((inner / name).as_posix() for name in names)
        if len(out) > MAX_PATHS:
            break
    return out


def plan_standard(project: ProjectFiles, *, port: int, available: Collection[int]) -> Plan:
    """Raises JobFailed CONTRACT_INVALID when there is nothing to start."""
    try:
        return make_plan(project, port=port, available=available)
    except BadInput as e:
        raise invalid(e) from e


def write_standard(
    plan: Plan,
    context: Path,
    *,
    ca_to_copy: Path | None,
    variables: Mapping[str, str],
    address: Mapping[str, str],
    tools: Mapping[str, str],
    caches: bool = False,
) -> Recipe:
    """The Dockerfile, and the platform's files that it copies, written into the context.

    ``ca_to_copy``: certificate authorities for an engine that can't mount them. ``variables`` and ``address``: what the
    build's steps get in their environment, the app's own and the platform's; ``tools``: what package managers need, the
    registry and the authorities. ``caches``: cache mounts are the app's alone.
    """
    text = render(plan, ca_in_context=ca_to_copy is not None, env_files=True, caches=caches)
    exported = {VARS_FILE: variables, ADDRESS_FILE: address, TOOLS_FILE: {**tool_variables(plan), **tools}}
    ours = [*extra_files(plan).items(), *((name, _exports(values)) for name, values in exported.items())]
    for name, content in ours:
        file = _place(context, name)
        file.write_text(content)
        file.chmod(0o644)
    if ca_to_copy:
        if os.path.lexists(context / buildspec.CA_IN_CONTEXT):
            raise invalid(
                BadInput(
                    detail=Words(
                        f"{buildspec.CA_IN_CONTEXT} 是平台保留的文件名",
                        f"{buildspec.CA_IN_CONTEXT} is a name that the platform uses",
                    )
                )
            )
        shutil.copyfile(ca_to_copy, context / buildspec.CA_IN_CONTEXT)
    _ignore(context, [name for name, _ in ours] + ([buildspec.CA_IN_CONTEXT] if ca_to_copy else []))
    return Recipe(context, True, text)


def _exports(values: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))


def _place(context: Path, name: str) -> Path:
    """Where a file of ours goes: what the repository has under that name, also a link, gives way."""
    file = context / name
    if os.path.lexists(file):
        if file.is_dir() and not file.is_symlink():
            raise invalid(BadInput(detail=Words(f"{name} 是平台使用的文件名", f"{name} is a name that the platform uses")))
        file.unlink()
    return file


def _ignore(context: Path, needed: Sequence[str]) -> None:
    """The default list where the repository has none; what the Dockerfile copies may not be left out by the repository's."""
    present = [context / name for name in IGNORE_FILES if (context / name).is_file()]
    if not present:
        (context / ".dockerignore").write_text(buildspec.DOCKERIGNORE)
        return
    for file in present:
        text = inside(context, file.name, file.name).read_text("utf-8", "replace")
        lines = "".join(f"!{name}\n" for name in needed)
        file.unlink()
        file.write_text(f"{text}\n{lines}")
