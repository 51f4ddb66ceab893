"""A Dockerfile's stages with every reference resolved: what is built on what, what is copied from where, what is needed.

Variables have the values that BuildKit would give them: ``ARG`` before the first ``FROM`` counts in ``FROM`` lines, and in
a stage that declares it again; ``ENV`` wins over ``ARG``; a stage begins with the variables of the one it is built on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from funai.dockerfile.mounts import Mount, read_mount
from funai.dockerfile.shell import BadWord, expand, split_words
from funai.dockerfile.syntax import Dockerfile, Instruction, Problem, parse, partition, wrong
from funai.i18n.reasons import Words

SCRATCH = "scratch"
MAX_STAGES = 200
MAX_VALUES = 4 * 1024 * 1024
"""Characters of all variables' values together."""
_STAGE_NAME = re.compile(r"[a-z][a-z0-9._-]*")
_FLAGS = {
    "FROM": {"platform"},
    "ADD": {"chown", "chmod", "link", "exclude", "parents", "checksum", "keep-git-dir", "unpack"},
    "COPY": {"from", "chown", "chmod", "link", "exclude", "parents"},
    "RUN": {"mount", "network", "security", "device"},
    "HEALTHCHECK": {"interval", "timeout", "start-period", "start-interval", "retries"},
}
_REPEATED = frozenset(("mount", "exclude", "device"))
_NO_VALUE = frozenset(("link", "parents", "keep-git-dir", "unpack"))


@dataclass(frozen=True, slots=True)
class Platform:
    """What the node builds, in Docker's words."""

    os: str = "linux"
    arch: str = "amd64"

    def __str__(self) -> str:
        return f"{self.os}/{self.arch}"

    @property
    def args(self) -> dict[str, str]:
        """The arguments that BuildKit defines without anybody's doing."""
        out: dict[str, str] = {}
        for side in ("TARGET", "BUILD"):
            out |= {f"{side}PLATFORM": str(self), f"{side}OS": self.os, f"{side}ARCH": self.arch, f"{side}VARIANT": ""}
        return out


@dataclass(frozen=True, slots=True)
class Source:
    """What a ``FROM`` or a ``from=`` means: an earlier stage by its index, or an image ("" for ``scratch``)."""

    line: int
    image: str = ""
    stage: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction of a stage. ``env`` are the variables before it."""

    instruction: Instruction
    env: Mapping[str, str]
    source: Source | None = None
    """Of a COPY's ``--from``."""
    mounts: tuple[tuple[Mount, Source | None], ...] = ()


@dataclass(slots=True)
class Stage:
    index: int
    line: int
    name: str
    """Lower case; "" when it has none."""
    base: Source
    platform: str = ""
    steps: list[Step] = field(default_factory=list[Step])
    env: dict[str, str] = field(default_factory=dict[str, str])
    args: dict[str, str] = field(default_factory=dict[str, str])

    def sources(self) -> Iterator[Source]:
        yield self.base
        for step in self.steps:
            yield from filter(None, [step.source, *(source for _, source in step.mounts)])

    @property
    def variables(self) -> dict[str, str]:
        return {**self.args, **self.env}

    def declared_args(self, escape: str) -> set[str]:
        instructions = (step.instruction for step in self.steps)
        return {name for i in instructions if i.name == "ARG" for name, _ in arg_words(i, escape)}


@dataclass(slots=True)
class Plan:
    """``problems`` are those of the resolution itself; ``rules`` adds the rest."""

    stages: list[Stage]
    escape: str
    globals: Mapping[str, str]
    """Arguments from before the first FROM, and the platform's."""
    given: Mapping[str, str]
    problems: list[Problem]

    @property
    def needed(self) -> list[Stage]:
        """The last stage and all that it stands on, in the file's order."""
        wanted, todo = set[int](), [len(self.stages) - 1]
        while todo:
            index = todo.pop()
            if index not in wanted:
                wanted.add(index)
                todo += [s.stage for s in self.stages[index].sources() if s.stage is not None]
        return [stage for stage in self.stages if stage.index in wanted]

    @property
    def images(self) -> list[str]:
        """The images that the build needs, in their order, as they are written in the file."""
        return list(dict.fromkeys(s.image for stage in self.needed for s in stage.sources() if s.image))

    @property
    def mounts(self) -> list[Mount]:
        return [m for stage in self.needed for step in stage.steps for m, _ in step.mounts]

    @property
    def mounts_files(self) -> bool:
        """Whether a step mounts files: Podman's cache takes no notice of what is in them."""
        return any(m.mounts_files for m in self.mounts)

    @property
    def dockers_only(self) -> bool:
        """Whether it asks for what only an image in Docker's own format can hold: a shell, a health check, triggers."""
        return any(s.instruction.name in ("SHELL", "HEALTHCHECK", "ONBUILD") for stage in self.needed for s in stage.steps)

    @property
    def declared_args(self) -> set[str]:
        """Names of the arguments that its needed stages declare."""
        return set[str]().union(*(stage.declared_args(self.escape) for stage in self.needed))

    @property
    def exposed_ports(self) -> list[int]:
        """TCP ports of the EXPOSE lines in the last stage and those it is built on."""
        out: list[int] = []
        stage: Stage | None = self.stages[-1]
        while stage is not None:
            for step in stage.steps:
                if step.instruction.name == "EXPOSE":
                    out += _ports(step, self.escape)
            stage = self.stages[stage.base.stage] if stage.base.stage is not None else None
        return list(dict.fromkeys(out))


def read_plan(
    text: str,
    *,
    args: Mapping[str, str] | None = None,
    platform: Platform | None = None,
    base_env: Mapping[str, Mapping[str, str]] | None = None,
) -> Plan:
    """Raises BadInput for text that no builder takes; what else is wrong stands in the plan's ``problems``.

    ``args`` are build arguments, ``base_env`` the variables of images by their name in the file, as far as they are known.
    """
    return _Resolver(parse(text), args or {}, platform or Platform(), base_env or {}).plan()


def arg_words(instruction: Instruction, escape: str) -> list[tuple[str, str | None]]:
    """Names with their defaults as they are written; None without one."""
    pairs = (word.partition("=") for word in split_words(instruction.args, escape))
    return [(name, value if equals else None) for name, equals, value in pairs]


def env_words(instruction: Instruction, escape: str) -> list[tuple[str, str]]:
    """``NAME=value`` pairs of an ENV, or the one of the form ``ENV NAME value``; values as they are written."""
    words = split_words(instruction.args, escape)
    if "=" not in words[0]:
        name, _, value = partition(instruction.args)
        return [(name, value)]
    pairs = (word.partition("=") for word in words)
    return [(name, value) for name, _, value in pairs]


def _ports(step: Step, escape: str) -> list[int]:
    try:
        words = [w for word in step.instruction.list for w in expand(word, step.env, escape).split()]
    except BadWord:
        return []
    numbers = [word.removesuffix("/tcp") for word in words]
    return [int(n) for n in numbers if re.fullmatch(r"[0-9]{1,5}", n)]


class _Resolver:
    def __init__(
        self, file: Dockerfile, args: Mapping[str, str], platform: Platform, base_env: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._file, self._args, self._platform, self._base_env = file, args, platform, base_env
        self._globals = platform.args
        self._stages: list[Stage] = []
        self._problems: list[Problem] = []
        self._size = 0

    def plan(self) -> Plan:
        for instruction in self._file.instructions:
            self._check_flags(instruction)
            try:
                self._take(instruction)
            except BadWord as e:
                self._wrong(
                    instruction.line,
                    f"{instruction.name} 的变量或引号有误（{e}）",
                    f"{instruction.name} has a wrong variable or quote: {e}",
                )
        if not self._stages:
            raise wrong(1, "没有 FROM", "there is no FROM")
        return Plan(self._stages, self._file.escape, self._globals, self._args, self._problems)

    def _wrong(self, line: int, zh: str, en: str) -> None:
        self._problems.append(Problem(line, Words(zh[:300], en[:300])))

    def _check_flags(self, i: Instruction) -> None:
        known, seen = _FLAGS.get(i.name, set[str]()), set[str]()
        for flag in i.flags:
            if flag.name not in known:
                self._wrong(i.line, f"{i.name} 没有标志 {flag}", f"{i.name} has no flag {flag}")
            elif flag.value is None and flag.name not in _NO_VALUE:
                self._wrong(i.line, f"--{flag.name} 后须写 =值", f"--{flag.name} takes a value: write --{flag.name}=…")
            elif flag.name in seen and flag.name not in _REPEATED:
                self._wrong(i.line, f"--{flag.name} 出现两次", f"--{flag.name} stands there twice")
            seen.add(flag.name)

    def _take(self, i: Instruction) -> None:
        if i.name == "FROM":
            self._begin(i)
        elif not self._stages:
            if i.name != "ARG":
                raise wrong(i.line, f"第一个 FROM 之前不能有 {i.name}", f"only ARG may stand before FROM, not {i.name}")
            self._global(i)
        else:
            self._step(i)

    def _global(self, i: Instruction) -> None:
        for name, default in arg_words(i, self._file.escape):
            if name in self._args:
                self._globals[name] = self._args[name]
            elif default is not None:
                self._globals[name] = self._value(default, self._globals)

    def _begin(self, i: Instruction) -> None:
        if len(self._stages) >= MAX_STAGES:
            raise wrong(i.line, f"FROM 超过 {MAX_STAGES} 个", f"more than {MAX_STAGES} FROM")
        words = i.list
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
            self._wrong(i.line, "FROM 的写法是：FROM 镜像 [AS 名字]", "write FROM image [AS name]")
        name = words[2].lower() if len(words) == 3 else ""
        stage = Stage(len(self._stages), i.line, "", Source(i.line))
        try:
            written = expand(words[0], self._globals, self._file.escape)
            stage.base = self._base(i.line, written, words[0])
            stage.platform = expand(i.flag("platform") or "", self._globals, self._file.escape)
        finally:
            self._stages.append(stage)
        if name and not _STAGE_NAME.fullmatch(name):
            self._wrong(
                i.line,
                f"阶段名 {words[2]} 须以字母开头，只含字母、数字和 _ . -",
                f"the stage name {words[2]} must begin with a letter and have letters, digits, _ . - only",
            )
        else:
            stage.name = name
        parent = self._stages[stage.base.stage] if stage.base.stage is not None else None
        stage.env = dict(parent.env if parent else self._base_env.get(stage.base.image, {}))
        stage.args = dict(parent.args if parent else {})

    def _base(self, line: int, written: str, word: str) -> Source:
        earlier = self._named(written)
        if earlier is not None:
            return Source(line, stage=earlier)
        if not written:
            self._wrong(line, f"FROM {word} 的变量没有值", f"FROM {word}: the variable has no value")
        return Source(line, "" if written == SCRATCH else written)

    def _named(self, name: str) -> int | None:
        """The last earlier stage of this name."""
        return next((s.index for s in reversed(self._stages) if s.name and s.name == name.lower()), None)

    def _step(self, i: Instruction) -> None:
        stage, escape = self._stages[-1], self._file.escape
        env = stage.variables
        if i.name == "ARG":
            for name, default in arg_words(i, escape):
                self._declare(stage, name, default)
        elif i.name == "ENV":
            stage.env |= {name: self._value(value, env) for name, value in env_words(i, escape)}
        source = None
        if i.name == "COPY" and (origin := i.flag("from")) is not None:
            source = self._source(i.line, expand(origin, env, escape), f"COPY --from={origin}", stage.index)
        mounts = self._mounts(i, env, stage.index) if i.name == "RUN" else ()
        stage.steps.append(Step(i, env, source, mounts))

    def _value(self, text: str, env: Mapping[str, str]) -> str:
        if self._size > MAX_VALUES:
            raise BadWord("all values together are too long")
        value = expand(text, env, self._file.escape)
        self._size += len(value)
        return value

    def _declare(self, stage: Stage, name: str, default: str | None) -> None:
        if name in self._args:
            stage.args[name] = self._args[name]
        elif default is not None:
            stage.args[name] = self._value(default, stage.variables)
        elif name in self._globals:
            stage.args[name] = self._globals[name]

    def _mounts(self, i: Instruction, env: Mapping[str, str], stage: int) -> tuple[tuple[Mount, Source | None], ...]:
        out: list[tuple[Mount, Source | None]] = []
        for flag in i.flags:
            if flag.name == "mount" and flag.value is not None:
                mount = read_mount(flag.value, i.line, lambda text: expand(text, env, self._file.escape))
                origin = mount.get("from")
                out.append((mount, self._source(i.line, origin, str(mount), stage) if origin else None))
        return tuple(out)

    def _source(self, line: int, name: str, shown: str, stage: int) -> Source | None:
        """Where a ``from=`` in this stage points."""
        if not name or name == SCRATCH:
            self._wrong(line, f"{shown}：没有可复制的来源", f"{shown}: there is nothing to copy from")
            return None
        number = int(name) if re.fullmatch(r"[0-9]{1,4}", name) else None
        earlier = number if number is not None and number < stage else self._earlier(name, stage)
        if earlier is None and number is not None:
            self._wrong(line, f"{shown}：之前没有第 {name} 个阶段", f"{shown}: there is no stage {name} before this one")
            return None
        return Source(line, "", earlier) if earlier is not None else Source(line, name)

    def _earlier(self, name: str, stage: int) -> int | None:
        return next((s.index for s in reversed(self._stages[:stage]) if s.name and s.name == name.lower()), None)
