"""What is to be built from a checked-out commit: the contract's rules applied to the files that are there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from funai.contracts import buildspec
from funai.contracts.basecheck import Given, fetched_urls, foreign_images, is_foreign, refused_flags
from funai.contracts.errors import BadInput
from funai.contracts.jobs import Payload
from funai.contracts.mountcheck import read_mounts
from funai.contracts.rules import ImageRef
from funai.contracts.states import FailureCode
from funai.i18n.reasons import Words
from funai.runner.failures import JobFailed

MAX_TEXT_FILE = 1024 * 1024
_IGNORE_FILES = (".dockerignore", ".containerignore")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build. ``dockerfile`` and ``context`` are absolute, inside the source folder or the job's own folder."""

    dockerfile: Path
    context: Path
    generated: bool
    text: str


def read_recipe(payload: Payload, src: Path, job_dir: Path, *, ca_to_copy: Path | None = None) -> Recipe:
    """Find or write the Dockerfile. Raises JobFailed DOCKERFILE_MISSING or CONTRACT_INVALID.

    ``ca_to_copy``: certificate authorities for an engine that can't mount them; only the standard Dockerfile takes them.
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
    for name in _IGNORE_FILES:
        inside(context, name, name)
    for name in _IGNORE_FILES:
        inside(dockerfile.parent, f"{dockerfile.name}{name}", name)
    if dockerfile.is_file():
        return _own(dockerfile, context, job_dir)
    package = inside(context, "package.json", "package.json")
    if payload.dockerfile_path not in (None, "", "Dockerfile") or not package.is_file():
        raise JobFailed(FailureCode.DOCKERFILE_MISSING, path=dockerfile_path)
    return _generated(context, package, job_dir, ca_to_copy)


def _own(dockerfile: Path, context: Path, job_dir: Path) -> Recipe:
    """The repository's. Podman runs a ``*.in`` through the host's C preprocessor, which would read the host's files."""
    text = _text(dockerfile)
    if dockerfile.suffix == ".in":
        plain = job_dir / "Dockerfile"
        plain.write_text(text)
        return Recipe(plain, context, False, text)
    return Recipe(dockerfile, context, False, text)


def _generated(context: Path, package: Path, job_dir: Path, ca_to_copy: Path | None) -> Recipe:
    locked = any((context / name).is_file() for name in buildspec.LOCKFILES)
    try:
        text = buildspec.node_dockerfile(_text(package), lockfile=locked, ca_in_context=ca_to_copy is not None)
    except BadInput as e:
        raise invalid(e) from e
    dockerfile = job_dir / "Dockerfile"
    dockerfile.write_text(text)
    if not any((context / name).exists() for name in _IGNORE_FILES):
        (context / ".dockerignore").write_text(buildspec.DOCKERIGNORE)
    if ca_to_copy:
        if os.path.lexists(context / buildspec.CA_IN_CONTEXT):
            raise invalid(BadInput(detail=Words(f"{buildspec.CA_IN_CONTEXT} 是平台保留的文件名",
                                                f"{buildspec.CA_IN_CONTEXT} is a name that the platform uses")))  # fmt: skip
        shutil.copyfile(ca_to_copy, context / buildspec.CA_IN_CONTEXT)
    return Recipe(dockerfile, context, True, text)


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


@dataclass(frozen=True)
class Allowed:
    """What a build may stand on: anything but the platform's images of other apps.

    ``registries`` are the platform's, ``own`` is the app's repository, ``given`` are variables' values from elsewhere.
    """

    registries: tuple[str, ...]
    own: str
    given: Given

    def foreign(self, image: str) -> bool:
        return any(is_foreign(image, registry, self.own) for registry in self.registries)

    def owns(self, image: str) -> bool:
        """Whether it is the app's own, for which the platform's login may be used."""
        return image == self.own or image.startswith((f"{self.own}:", f"{self.own}@"))

    def also(self, values: Iterable[tuple[str, str]]) -> Allowed:
        """With more values for variables."""
        given = {name: [*known] for name, known in self.given.items()}
        for name, value in values:
            given.setdefault(name, []).append(value)
        return replace(self, given=given)

    @staticmethod
    def refused(name: str, zh_in: str = "", en_in: str = "") -> JobFailed:
        name = name[:200]
        return invalid(BadInput(detail=Words(f"不能使用镜像 {name}{zh_in}", f"the image {name} may not be used here{en_in}")))


def allowed(image: ImageRef, registry: str, args: Mapping[str, str]) -> Allowed:
    """For the app's own ``image``, the Runner's ``registry`` and the build arguments. A proxy of the host's is one too."""
    given = {name: ["http://proxy"] for proxy in _PROXIES for name in (proxy, proxy.upper())}
    registries = tuple(dict.fromkeys(r for r in (image.registry, registry) if r))
    return Allowed(registries, image.repository, given | {name: [value] for name, value in args.items()})


def check_sources(dockerfile: str, may: Allowed, *, base: str = "") -> None:
    """Raises JobFailed CONTRACT_INVALID when the engine would fetch another tenant's image or an address, or leave the
    sandbox. ``base``: the text is the ONBUILD triggers of this image.

    The engine has every app's images and the host's network: it must not fetch for tenants.
    """
    zh_in, en_in = (f"（{base[:200]} 的 ONBUILD）", f" (ONBUILD of {base[:200]})") if base else ("", "")
    try:
        for registry in may.registries:
            if foreign := foreign_images(dockerfile, registry, may.own, may.given):
                raise Allowed.refused(foreign[0], zh_in, en_in)
        if urls := fetched_urls(dockerfile, may.given):
            zh, en = (
                f"ADD 不能使用地址 {urls[0][:200]}；请改用 RUN curl",
                f"ADD may not fetch {urls[0][:200]}; use RUN curl instead",
            )
            raise invalid(BadInput(detail=Words(zh + zh_in, en + en_in)))
        if flags := refused_flags(dockerfile):
            zh, en = f"RUN 不能使用 {flags[0][:200]}", f"RUN may not use {flags[0][:200]}"
            raise invalid(BadInput(detail=Words(zh + zh_in, en + en_in)))
    except BadInput as e:
        raise invalid(e) from e


def check_mounts(dockerfile: str, may: Allowed, context: Path) -> bool:
    """Whether steps share a cache; such a build must leave no layers to others. Raises JobFailed CONTRACT_INVALID for a
    ``RUN --mount`` that could show a step more than the app's own files.

    ``dockerfile`` is all that the build runs, its base images' triggers included. The engine follows links in a mount's
    source on the host, so none may lead out of the context, and no step may be able to make one.
    """
    try:
        mounts = read_mounts(dockerfile, may.given)
    except BadInput as e:
        raise invalid(e) from e
    for flag, instead in mounts.refused[:1]:
        zh, en = f"RUN 不能使用 {flag[:200]}：{instead.zh}", f"RUN may not use {flag[:200]}: {instead.en}"
        raise invalid(BadInput(detail=Words(zh, en)))
    written = [m.source for m in mounts.context if m.writable]
    for mount in mounts.context:
        real = inside(context, mount.source, f"RUN {mount.flag[:200]}")
        bent = real != context.resolve() / mount.source
        if written and (bent or any(_below(mount.source, source) for source in written)):
            zh, en = "其源位于某一步可写的目录中", "its source lies where a step may write"
            raise invalid(
                BadInput(detail=Words(f"RUN 不能使用 {mount.flag[:200]}：{zh}", f"RUN may not use {mount.flag[:200]}: {en}"))
            )
    return mounts.shared


def _below(source: str, folder: str) -> bool:
    return source != folder and (folder == "." or source.startswith(f"{folder}/"))


def invalid(error: BadInput) -> JobFailed:
    """A refusal of the contract's rules as the job's failure; the reason's own words in both languages."""
    zh, en = error.message("zh"), error.message("en")
    if error.reason == "BAD_INPUT" and isinstance(words := error.params.get("detail"), Words):
        zh, en = words.zh, words.en
    return JobFailed(FailureCode.CONTRACT_INVALID, detail=Words(zh, en))


def app_spec(text: str | None) -> buildspec.AppSpec:
    """``deploy/app.yaml`` of the commit. Raises JobFailed CONTRACT_INVALID."""
    if text is None:
        return buildspec.AppSpec()
    try:
        return buildspec.parse_app_yaml(text)
    except BadInput as e:
        raise invalid(e) from e


def inputs_hash(payload: Payload, npm_registry: str) -> str:
    """What beside the commit decides the image: equal hashes on equal commits need no second build."""
    text = buildspec.image_inputs(
        dockerfile_path=payload.dockerfile_path or "Dockerfile", context=payload.build_context or ".",
        npm_registry=npm_registry,
    )  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()[:12]
