"""The plan written anew: one text that every engine reads alike, and the only one that an engine gets.

One instruction a line, no comments, no continued lines, no heredocs; ``FROM`` and ``from=`` name an earlier stage or an image
in full; only the stages that the last one needs. What today's builders know and Debian's Podman 4.3 does not is said in
older words (heredocs, ``--link``, variables in ``FROM`` and ``--from``, the platform's arguments).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from funai.dockerfile.parents import copies, keeps_parents
from funai.dockerfile.rules import mode_of
from funai.dockerfile.shell import BadWord, Lexer, quoted
from funai.dockerfile.stages import SCRATCH, Plan, Source, Stage, Step, arg_words
from funai.dockerfile.syntax import Flag, Heredoc, Instruction, heredoc, parse, wrong

FILES = "funai-files"
"""The build context that holds the files of heredocs."""
DEFAULT_SHELL = ("/bin/sh", "-c")
LINE = 16 * 1024
"""Longest line of the text, in characters; older engines read 64 KiB."""
_BREAK = re.compile(r"(?<=[A-Za-z0-9])(?=[A-Za-z0-9])")
_SCRIPT = 'printf %s "$1" >/dev/shm/script && shift && exec "$@"'
"""Runs a heredoc that names its interpreter. ``/dev/shm`` is the step's own: nothing of it is in the image."""


@dataclass(frozen=True, slots=True)
class Base:
    """An image as the engine has it: its full name, and the shell of its steps (() for the default)."""

    name: str
    shell: tuple[str, ...] = ()


@dataclass(slots=True)
class Emitted:
    """``files`` by their path belong into the build context :data:`FILES`. ``args`` are the arguments that the text declares:
    engines warn of every other one that they are given."""

    text: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    args: frozenset[str] = frozenset()


def emit(
    plan: Plan, bases: Mapping[str, Base], ambient: Sequence[str] = (), files: Callable[[], Collection[str]] = frozenset[str]
) -> Emitted:
    """``bases`` by the images' names in the plan. Raises BadInput for what can't be written so that engines agree.

    ``ambient``: arguments that each stage with a RUN declares, whether or not the file does. The plan has no problems that
    are errors. ``files`` lists the build context, where an instruction needs that.
    """
    return _Writer(plan, bases, ambient, files).written()


class _Writer:
    def __init__(
        self, plan: Plan, bases: Mapping[str, Base], ambient: Sequence[str], context: Callable[[], Collection[str]]
    ) -> None:
        self._plan, self._bases, self._ambient, self._context = plan, bases, ambient, context
        self._files: dict[str, str] = {}
        self._expected: list[Instruction] = []
        self._declared: set[str] = set()
        self._lines: list[str] = []
        self._names = _stage_names(plan)
        self._shell: tuple[str, ...] = DEFAULT_SHELL
        self._shells: dict[int, tuple[str, ...]] = {}

    def written(self) -> Emitted:
        if self._plan.escape != "\\":
            self._lines.append(f"# escape={self._plan.escape}")
        for stage in self._plan.needed:
            self._from(stage)
            self._declare(stage)
            for step in stage.steps:
                for text in self._step(step):
                    self._add(step.instruction, text)
            self._shells[stage.index] = self._shell
        text = "".join(f"{line}\n" for line in self._lines)
        # What is read back is what was meant: nothing in a value made one line two, or another instruction of it.
        if [str(i.name) for i in parse(text).instructions] != [i.name for i in self._expected]:
            raise wrong(1, "Dockerfile 无法确定地写出", "the Dockerfile can't be written in one meaning")
        return Emitted(text, self._files, frozenset(self._declared))

    def _add(self, i: Instruction, text: str) -> None:
        if "\n" in text or text.rstrip(" \t").endswith(self._plan.escape):
            raise wrong(i.line, f"不能以 {self._plan.escape} 结尾", f"it can't end with {self._plan.escape}")
        self._lines.append(_broken(text, self._plan.escape))
        name, _, args = text.partition(" ")
        if name == "ARG":
            self._declared.add(args.partition("=")[0])
        self._expected.append(Instruction(i.line, name, (), ""))

    def _from(self, stage: Stage) -> None:
        base = stage.base
        if base.stage is not None:
            name, self._shell = self._names[base.stage], self._shells[base.stage]
        else:
            known = self._bases.get(base.image)
            name = known.name if known else base.image or SCRATCH
            self._shell = (known.shell if known else ()) or DEFAULT_SHELL
        alias = self._names[stage.index]
        last = stage is self._plan.needed[-1]
        self._add(Instruction(stage.line, "FROM", (), ""), f"FROM {name}" + ("" if last and not stage.name else f" AS {alias}"))

    def _declare(self, stage: Stage) -> None:
        declared = stage.declared_args(self._plan.escape)
        if any(step.instruction.name == "RUN" for step in stage.steps):
            for name in self._ambient:
                if name not in declared:
                    self._add(Instruction(stage.line, "ARG", (), ""), f"ARG {name}")

    def _origin(self, source: Source | None) -> str:
        if source is None:
            return ""
        if source.stage is not None:
            return self._names[source.stage]
        known = self._bases.get(source.image)
        return known.name if known else source.image

    def _step(self, step: Step) -> Iterator[str]:
        i = step.instruction
        match i.name:
            case "ARG":
                yield from self._args(i)
            case "RUN":
                yield self._run(step)
            case "COPY" | "ADD":
                yield from self._copies(step)
            case "ONBUILD" if i.inner:
                yield f"ONBUILD {self._plain(i.inner)}"
            case _:
                if i.name == "SHELL" and i.words:
                    self._shell = i.words
                yield self._plain(i)

    def _plain(self, i: Instruction) -> str:
        flags = [str(f) for f in i.flags if f.name not in ("link", "security", "start-interval")]
        return " ".join([i.name, *flags, _args(i, i.words)])

    def _args(self, i: Instruction) -> Iterator[str]:
        """One name a line, with the value from before the first FROM where it has none of its own."""
        for name, default in arg_words(i, self._plan.escape):
            outer = self._plan.globals.get(name)
            if default is not None:
                yield f"ARG {name}={default}"
            elif outer is None or name in self._plan.given:
                yield f"ARG {name}"
            else:
                try:
                    yield f"ARG {name}={quoted(outer, self._plan.escape) if outer else ''}"
                except BadWord as e:
                    raise wrong(i.line, f"ARG {name} 的值不能换行", f"ARG {name}: {e}") from e

    def _run(self, step: Step) -> str:
        i = step.instruction
        flags = [mount.flag(self._origin(source)) for mount, source in step.mounts]
        flags += [str(f) for f in i.flags if f.name == "network" and f.value == "none"]
        args = _args(i, i.words) if not i.heredocs else _json(self._script(i))
        return " ".join(["RUN", *flags, args])

    def _script(self, i: Instruction) -> tuple[str, ...]:
        """The command of a RUN with heredocs in exec form, whose strings may have line ends."""
        if heredoc(i.args.strip()):
            script = i.heredocs[0].text
            if not script.startswith("#!"):
                return (*self._shell, script)
            interpreter = script.partition("\n")[0][2:].split(None, 1)
            return ("/bin/sh", "-c", _SCRIPT, "sh", script, *(w.strip() for w in interpreter), "/dev/shm/script")
        bodies = "".join(f"\n{doc.content}{doc.name}" for doc in i.heredocs)
        return (*self._shell, f"{i.args}{bodies}\n")

    def _copies(self, step: Step) -> Iterator[str]:
        i = step.instruction
        *sources, target = i.list
        docs = {f"<<{'-' if d.chomp else ''}": d for d in i.heredocs}
        kept = [w for w in sources if not heredoc(w)] if docs else sources
        flags = self._copy_flags(i)
        origin = self._origin(step.source)
        if keeps_parents(i):
            start = " ".join([i.name, *([f"--from={origin}"] if origin else []), *flags])
            patterns = any("*" in word for word in sources)
            yield from (f"{start} {source} {to}" for source, to in copies(i, self._context() if patterns else ()))
        elif kept:
            words = (*(_local(w) if i.name == "ADD" else w for w in kept), target)
            json_form = i.words is not None
            args = _json(words) if json_form else " ".join(words)
            yield " ".join([i.name, *([f"--from={origin}"] if origin else []), *flags, args])
        if i.heredocs:
            folder = str(len(self._files) + 1)
            for doc in i.heredocs:
                self._files[f"{folder}/{doc.name}"] = _content(doc, step.env, i)
            names = [f"{folder}/{doc.name}" for doc in i.heredocs]
            yield " ".join(["COPY", f"--from={FILES}", *flags, *names, target])

    @staticmethod
    def _copy_flags(i: Instruction) -> list[str]:
        flags: list[str] = []
        for flag in i.flags:
            if flag.name == "chown":
                flags.append(str(flag))
            elif flag.name == "chmod" and (mode := mode_of(i)):
                flags.append(str(Flag("chmod", mode)))
        return flags


def _stage_names(plan: Plan) -> dict[int, str]:
    """A name for each needed stage, unlike any other: its own, where that is plain and its alone."""
    own = [stage.name for stage in plan.stages]
    return {
        stage.index: stage.name
        if stage.name
        and own.count(stage.name) == 1
        and stage.name != FILES
        and not stage.name.startswith("stage-")
        and stage.name != SCRATCH
        else f"stage-{stage.index}"
        for stage in plan.needed
    }


def _args(i: Instruction, words: Sequence[str] | None) -> str:
    return _json(words) if words is not None else i.args


def _json(words: Sequence[str]) -> str:
    return json.dumps(list(words), ensure_ascii=False)


def _local(word: str) -> str:
    """A source that no engine takes for an address, whatever its variables turn out to be."""
    return word if word.startswith("./") else f"./{word.lstrip('/')}"


def _content(doc: Heredoc, env: Mapping[str, str], i: Instruction) -> str:
    if not doc.expand:
        return doc.text
    try:
        return Lexer(env, quotes=False).expand(doc.text)
    except BadWord as e:
        raise wrong(i.line, f"<<{doc.name} 的变量有误（{e}）", f"<<{doc.name}: {e}") from e


def _broken(text: str, escape: str) -> str:
    """The instruction on as many lines as engines need that read only so long ones; joined it is the same text."""
    out: list[str] = []
    while len(text) > LINE:
        at = next((m.start() for m in _BREAK.finditer(text, LINE // 2) if m.start() <= LINE), None)
        if at is None:
            break
        out.append(f"{text[:at]}{escape}")
        text = text[at:]
    return "\n".join([*out, text])
