"""A job's Dockerfile from its text to the one that the engine gets: read, judged with its base images, written anew."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from funai.contracts.apps.buildspec import CA_IN_BUILD
from funai.contracts.errors import BadInput
from funai.contracts.rules import ImageRef
from funai.dockerfile import rules
from funai.dockerfile.emit import Base, Emitted, emit
from funai.dockerfile.images import Allowed
from funai.dockerfile.stages import Plan, Platform, read_plan
from funai.dockerfile.syntax import Problem
from funai.i18n.reasons import Words
from funai.runner.build.standard import paths_of
from funai.runner.failures import invalid
from funai.runner.settings import RunnerSettings

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CA_ARG = "NODE_EXTRA_CA_CERTS"
SHOWN = 5
"""Problems that a job names; `funai check` names all."""


def this_platform() -> Platform:
    machine = platform.machine()
    return Platform(arch=_ARCHITECTURES.get(machine, machine))


def allowed(image: ImageRef, settings: RunnerSettings) -> Allowed:
    """What a build of the app's own ``image`` may stand on."""
    registries = tuple(dict.fromkeys(r for r in (image.registry, settings.registry) if r))
    private = frozenset((*settings.private_registries, *settings.insecure_registries))
    return Allowed(registries, image.repository, tuple(settings.base_images), private)


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What a Dockerfile has from an image: the variables, the steps' shell, and the ONBUILD triggers."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    shell: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The Dockerfile with all that decides what it means."""

    text: str
    allowed: Allowed
    args: Mapping[str, str]
    platform: Platform = field(default_factory=this_platform)
    own: bool = False
    """The repository's own Dockerfile, and not the standard image's."""

    @property
    def ambient(self) -> tuple[str, ...]:
        """The operator's certificate authorities: a Dockerfile that knows nothing of them gets them all the same."""
        return (CA_ARG,) if self.own and self.args.get(CA_ARG) == CA_IN_BUILD else ()

    def plan(self, bases: Mapping[str, BaseFacts] | None = None) -> Plan:
        """Raises JobFailed CONTRACT_INVALID. ``bases`` by the images' names in the file, as far as they are known."""
        try:
            plan = read_plan(
                self.text, args=self.args, platform=self.platform, base_env={n: b.env for n, b in (bases or {}).items()}
            )
        except BadInput as e:
            raise invalid(e) from e
        refuse(rules.problems(plan, self.allowed, self.platform))
        return plan

    def written(self, bases: Mapping[str, BaseFacts], context: Path) -> tuple[Plan, Emitted]:
        """The plan with the variables of its base images, and the text for the engine. Raises JobFailed CONTRACT_INVALID."""
        for name, base in bases.items():
            refuse(rules.trigger_problems(base.triggers, name))
        plan = self.plan(bases)
        if missing := [image for image in plan.images if image not in bases]:
            # Only a variable of a base image can have brought it.
            name = missing[0][:200]
            words = Words(f"镜像 {name} 由基础镜像的变量决定", f"the image {name} depends on a base image's variable")
            raise invalid(BadInput(detail=words))
        try:
            named = {n: Base(b.name, b.shell) for n, b in bases.items()}
            return plan, emit(plan, named, self.ambient, lambda: paths_of(context))
        except BadInput as e:
            raise invalid(e) from e


def refuse(problems: Sequence[Problem]) -> None:
    """Raises JobFailed CONTRACT_INVALID with the first error, and the next ones below it."""
    errors = [p for p in problems if p.error]
    if errors:
        failed = invalid(errors[0].refusal)
        more = [p.refusal.params["detail"] for p in errors[1:SHOWN]]
        failed.lines += [f"{w.zh} / {w.en}" for w in more if isinstance(w, Words)]
        raise failed


def write_down(emitted: Emitted, folder: Path, ignore: Iterable[Path]) -> tuple[Path, Path | None]:
    """The Dockerfile and the folder of its heredocs' files (None without any), in the job's own ``folder``.

    ``ignore`` are files like ``Dockerfile.dockerignore``, which engines look for beside the Dockerfile.
    """
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(emitted.text, encoding="utf-8")
    for path in ignore:
        shutil.copyfile(path, folder / f"Dockerfile{path.suffix}")
    files = folder / "files"
    for name, content in emitted.files.items():
        target = files / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        target.chmod(0o644)
    return dockerfile, files if emitted.files else None
