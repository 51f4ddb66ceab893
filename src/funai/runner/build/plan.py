"""What is to be built from a checked-out commit: the contract's rules applied to the files that are there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from funai.contracts.apps import buildspec
from funai.contracts.errors import BadInput
from funai.contracts.jobs import Payload
from funai.contracts.reasons import FailureCode
from funai.dockerfile.mounts import share_caches
from funai.dockerfile.node.files import page_folder
from funai.dockerfile.stages import Plan
from funai.i18n.reasons import Words
from funai.runner.failures import JobFailed, invalid

MAX_TEXT_FILE = 1024 * 1024
IGNORE_FILES = (".dockerignore", ".containerignore")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to build from: the Dockerfile's text and the folder of the context, inside the source folder.

    ``ignore`` are the files that engines look for beside the Dockerfile (``Dockerfile.dockerignore``).
    """

    context: Path
    generated: bool
    text: str
    ignore: tuple[Path, ...] = ()


def read_recipe(payload: Payload, src: Path) -> Recipe | Path:
    """The repository's Dockerfile, or the build context of a Node project, or of a site's pages, without one.

    Raises JobFailed DOCKERFILE_MISSING or CONTRACT_INVALID.
    """
    try:
        dockerfile_path = buildspec.inner_path(payload.dockerfile_path, "Dockerfile", "dockerfilePath")
        context_path = buildspec.inner_path(payload.build_context, ".", "buildContext")
    except BadInput as e:
        raise invalid(e) from e
    context = inside(src, context_path, "buildContext")
    if not context.is_dir():
        raise invalid(
            BadInput(detail=Words(f"buildContext {context_path} 不是目录", f"buildContext {context_path} is not a folder"))
        )
    dockerfile = inside(src, dockerfile_path, "dockerfilePath")
    for name in IGNORE_FILES:
        inside(context, name, name)
    for name in IGNORE_FILES:
        inside(dockerfile.parent, f"{dockerfile.name}{name}", name)
    if dockerfile.is_file():
        beside = (dockerfile.parent / f"{dockerfile.name}{name}" for name in IGNORE_FILES)
        return Recipe(context, False, _text(dockerfile), tuple(path for path in beside if path.is_file()))
    if payload.dockerfile_path not in (None, "", "Dockerfile") or not _buildable(context):
        raise JobFailed(FailureCode.DOCKERFILE_MISSING, path=dockerfile_path)
    return context


def _buildable(context: Path) -> bool:
    """Whether the standard image can be made of the folder: a Node project, or the pages of a site."""
    if inside(context, "package.json", "package.json").is_file():
        return True
    shallow = {p.relative_to(context).as_posix() for pattern in ("*", "*/index.html") for p in context.glob(pattern)}
    return page_folder(shallow) is not None


def inside(root: Path, path: str, field: str) -> Path:
    """The path with its links followed; raises JobFailed when that leaves the folder."""
    try:
        real = (root / path).resolve()
    except (OSError, RuntimeError) as e:
        raise invalid(BadInput(detail=Words(f"{field} 无法读取", f"{field} can't be read"))) from e
    if real != root.resolve() and not real.is_relative_to(root.resolve()):
        raise invalid(BadInput(detail=Words(f"{field} 指向仓库之外", f"{field} leads out of the repository")))
    return real


def _text(path: Path) -> str:
    with path.open("rb") as f:
        data = f.read(MAX_TEXT_FILE + 1)
    if len(data) > MAX_TEXT_FILE:
        raise invalid(BadInput(detail=Words(f"{path.name} 过大", f"{path.name} is too large")))
    return data.decode("utf-8", "replace")


def check_mounts(plan: Plan, context: Path) -> bool:
    """Whether steps share a cache; such a build must leave no layers to others. Raises JobFailed CONTRACT_INVALID for a
    ``RUN --mount`` of the context that could show a step more than the app's own files.

    The engine follows links in a mount's source on the host, so none may lead out of the context, and no step may be able
    to make one.
    """
    mounts = [m for m in plan.mounts if m.of_context]
    written = [m.source for m in mounts if m.writable]
    for mount in mounts:
        real = inside(context, mount.source, f"RUN {str(mount)[:200]}")
        bent = real != context.resolve() / mount.source
        if written and (bent or any(_below(mount.source, source) for source in written)):
            zh, en = "其源位于某一步可写的目录中", "its source lies where a step may write"
            shown = str(mount)[:200]
            raise invalid(BadInput(detail=Words(f"RUN 不能使用 {shown}：{zh}", f"RUN may not use {shown}: {en}")))
    return share_caches(plan.mounts)


def _below(source: str, folder: str) -> bool:
    return source != folder and (folder == "." or source.startswith(f"{folder}/"))


def app_spec(text: str | None) -> buildspec.AppSpec:
    """``deploy/app.yaml`` of the commit. Raises JobFailed CONTRACT_INVALID."""
    if text is None:
        return buildspec.AppSpec()
    try:
        return buildspec.parse_app_yaml(text)
    except BadInput as e:
        raise invalid(e) from e


def inputs_hash(payload: Payload, npm_registry: str, arguments: Mapping[str, str] | None = None) -> str:
    """What beside the commit decides the image: equal hashes on equal commits need no second build.

    ``arguments``: the build's arguments that may differ between two deploys of a commit.
    """
    text = buildspec.image_inputs(
        dockerfile_path=payload.dockerfile_path or "Dockerfile",
        context=payload.build_context or ".",
        npm_registry=npm_registry,
        port=payload.container_port,
        arguments=arguments,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]
