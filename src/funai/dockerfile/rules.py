"""What is wrong with a plan, for ``funai check`` and for a job alike: what may not be, and what the builder can't do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from funai.contracts.errors import BadInput
from funai.dockerfile import mounts
from funai.dockerfile.images import OTHERS, Allowed
from funai.dockerfile.parents import translatable
from funai.dockerfile.shell import BadWord, expand
from funai.dockerfile.stages import Plan, Platform, Step
from funai.dockerfile.syntax import Flag, Instruction, Problem, heredoc, parse
from funai.i18n.reasons import Words

_URL = re.compile(r"[a-z][a-z0-9+.-]*://|git@|(?:github\.com|gitlab\.com|bitbucket\.org)/", re.IGNORECASE)
_ABSOLUTE_MODE = re.compile(r"(?:[ugoa]+=[rwx]*)(?:,[ugoa]+=[rwx]*)*")
_OCTAL = re.compile(r"[0-7]{3,4}")
_PLAIN_FLAG = re.compile(r"[A-Za-z0-9_./:@%+=,{}$:-]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
MAX_SCRIPT = 100_000
"""Characters of a heredoc that is run: the kernel takes 128 KiB in one argument."""
_INSTEAD = {
    "exclude": Words("请把这些文件写进 .dockerignore", "name these files in .dockerignore"),
    "parents": Words("请为每个目录写一条 COPY", "write one COPY a folder"),
    "checksum": Words(
        "它只用于地址；请用 RUN curl 下载并用 sha256sum 校验",
        "it is for addresses only; download with RUN curl and verify with sha256sum",
    ),
    "keep-git-dir": Words("它只用于 Git 地址；请用 RUN git clone", "it is for Git addresses only; use RUN git clone"),
    "unpack": Words("请用 RUN tar", "use RUN tar"),
    "device": Words("构建步骤没有设备", "a build step has no devices"),
}


def problems(plan: Plan, allowed: Allowed, platform: Platform | None = None) -> list[Problem]:
    """All of them, images first, then in the file's order. ``platform`` of the node; None when it is not known."""
    needed = {stage.index for stage in plan.needed}
    images = [
        p
        for stage in plan.stages
        for s in stage.sources()
        if stage.index in needed or allowed.refusal(s.image) is OTHERS
        for p in image_problems(s.line, s.image, allowed)
    ]
    out: list[Problem] = [*plan.problems]
    for stage in plan.stages:
        out += _platform(stage.line, stage.platform, platform)
        for step in stage.steps:
            out += _images_that_stages_hide(step, allowed)
            out += _step(step, plan)
        out += mounts.problems([m for step in stage.steps for m, _ in step.mounts if m.refused])
    out += [p for p in mounts.problems(plan.mounts) if p not in out]
    hidden = [p for p in out if OTHERS.en in p.words.en]
    rest = sorted((p for p in out if p not in hidden), key=lambda p: p.line)
    return list(dict.fromkeys([*images, *hidden, *rest]))


def image_problems(line: int, image: str, allowed: Allowed) -> list[Problem]:
    if not image:
        return []
    shown = image[:200]
    if why := allowed.refusal(image):
        return [Problem(line, Words(f"不能使用镜像 {shown}：{why.zh}", f"the image {shown} may not be used here: {why.en}"))]
    if allowed.doubt(image):
        zh = f"镜像 {shown} 在内网仓库中：平台须允许它"
        en = f"the image {shown} is of a private registry: the platform has to allow it"
        return [Problem(line, Words(zh, en), error=False)]
    return []


def _images_that_stages_hide(step: Step, allowed: Allowed) -> list[Problem]:
    """A stage called like another app's image: engines differ on which of the two the name means."""
    names = [step.instruction.flag("from") or "", *(m.get("from") for m, _ in step.mounts)]
    return [p for n in names if n and allowed.refusal(n) is OTHERS for p in image_problems(step.instruction.line, n, allowed)]


def _platform(line: int, wanted: str, platform: Platform | None) -> list[Problem]:
    here = platform or Platform()
    if not wanted or wanted.lower() in (str(here), here.os) or wanted.lower().startswith(f"{here}/v"):
        return []
    if platform is None:
        zh, en = f"平台的节点通常构建 {here}", f"the platform's nodes commonly build {here}"
    else:
        zh, en = f"此节点构建 {here}", f"this node builds {here}"
    words = Words(f"--platform={wanted}：{zh}", f"--platform={wanted}: {en}")
    return [Problem(line, words, error=platform is not None)]


def _step(step: Step, plan: Plan) -> list[Problem]:
    i = step.instruction
    match i.name:
        case "ADD" | "COPY":
            return _copy(i, lambda word: expand(word, step.env, plan.escape))
        case "RUN":
            return _run(i)
        case "ONBUILD" if i.inner:
            return _onbuild(i.inner)
        case _:
            return []


def _copy(i: Instruction, value: Callable[[str], str]) -> list[Problem]:
    asked = [flag for flag in i.flags if flag.name in _INSTEAD and flag.value not in ("false", "0")]
    asked = [flag for flag in asked if flag.name != "parents" or not translatable(i)]
    out = [_lacks(i.line, f"{i.name} {flag}", _INSTEAD[flag.name]) for flag in asked]
    words = i.list
    if len(words) < 2:
        out.append(_problem(i.line, f"{i.name} 至少要有来源和目标", f"{i.name} takes at least a source and a destination"))
    if i.name == "ADD":
        addresses = [w[:200] for w in words[:-1] if not heredoc(w) and is_address(w, value)]
        out += [
            _problem(i.line, f"ADD 不能使用地址 {w}；请改用 RUN curl", f"ADD may not fetch {w}; use RUN curl instead")
            for w in addresses
        ]
    out += _mode(i)
    chown = i.flag("chown")
    if chown is not None and not _PLAIN_FLAG.fullmatch(chown):
        out.append(_problem(i.line, f"--chown={chown} 须形如 node:node", f"--chown={chown}: write it as node:node"))
    if i.heredocs and i.flag("from") is not None:
        out.append(_problem(i.line, "heredoc 不能和 --from 一起用", "a heredoc can't stand beside --from"))
    names = [doc.name for doc in i.heredocs if not _FILE_NAME.fullmatch(doc.name)]
    out += [_problem(i.line, f"heredoc 的名字 {n} 须是文件名", f"the heredoc's name {n} must be a file's") for n in names]
    return out


def is_address(word: str, value: Callable[[str], str]) -> bool:
    """Whether the word of an ADD stands for something that an engine would fetch."""
    try:
        return _URL.match(value(word).lstrip("./")) is not None or _URL.match(word) is not None
    except BadWord:
        return True


def _mode(i: Instruction) -> list[Problem]:
    mode = i.flag("chmod")
    if mode is None or mode_of(i) is not None:
        return []
    zh, en = "请写数字，例如 755", "write a number, as in 755"
    return [_lacks(i.line, f"{i.name} --chmod={mode}", Words(zh, en))]


_OF_COMMITTED = {
    **dict.fromkeys(("+x", "a+x", "ugo+x", "a+rx", "+rx"), "755"),
    **dict.fromkeys(("+r", "a+r", "+X", "a+X", "+rX", "a+rX", "ugo+rX", "u+w", "u+rw", "u+rwX"), ""),
}
"""What a change of a mode comes to for files of a commit, which are 644 or 755, and for folders, which are 755."""


def mode_of(i: Instruction) -> str | None:
    """The number that ``--chmod`` of a COPY or ADD comes to, "" when it changes nothing; None when that can't be determined."""
    mode = i.flag("chmod") or ""
    relative = _OF_COMMITTED.get(mode) if i.name == "COPY" and i.flag("from") is None else None
    return octal(mode) if relative is None else relative


def octal(mode: str) -> str | None:
    """The mode as a number: ``755``, or ``u=rwx,go=rx`` which says the same; None when it depends on the file."""
    if _OCTAL.fullmatch(mode):
        return mode
    if not _ABSOLUTE_MODE.fullmatch(mode):
        return None
    bits: dict[str, int] = {}
    for part in mode.split(","):
        who, _, what = part.partition("=")
        value = sum({"r": 4, "w": 2, "x": 1}[c] for c in set(what))
        bits |= dict.fromkeys("ugo" if "a" in who else who, value)
    return f"{bits['u']}{bits['g']}{bits['o']}" if len(bits) == 3 else None


def _run(i: Instruction) -> list[Problem]:
    out: list[Problem] = []
    for flag in i.flags:
        harmless = {"mount": True, "network": flag.value in ("none", "default"), "security": flag.value == "sandbox"}
        if not harmless.get(flag.name, False):
            shown = str(flag)[:200]
            out.append(_problem(i.line, f"RUN 不能使用 {shown}", f"RUN may not use {shown}"))
    if i.args.startswith("--"):
        out.append(_problem(i.line, "命令不能以 -- 开头", "the command can't begin with --"))
    if sum(len(doc.content) for doc in i.heredocs) > MAX_SCRIPT:
        out.append(_lacks(i.line, "RUN <<", Words("脚本太长；请放进文件并 COPY", "the script is too long; COPY it as a file")))
    return out


def _onbuild(inner: Instruction) -> list[Problem]:
    out = [*_copy(inner, lambda w: w)] if inner.name in ("ADD", "COPY") else _run(inner) if inner.name == "RUN" else []
    if inner.heredocs:
        out.append(_lacks(inner.line, "ONBUILD <<", Words("请用 && 连接命令", "join the commands with &&")))
    # The engine gets these as they stand.
    refused = [
        str(f)[:200] for f in inner.flags if f.name in ("from", "mount", "parents") or (f.name == "chmod" and not _number(f))
    ]
    out += [_problem(inner.line, f"ONBUILD 不能使用 {f}", f"ONBUILD may not use {f}") for f in refused]
    return out


def _number(flag: Flag) -> bool:
    return _OCTAL.fullmatch(flag.value or "") is not None


def trigger_problems(triggers: Sequence[str], base: str) -> list[Problem]:
    """ONBUILD instructions of a base image, which the engine runs as they stand: only what every engine reads alike."""
    out: list[Problem] = []
    zh_in, en_in = f"（{base[:200]} 的 ONBUILD）", f" (ONBUILD of {base[:200]})"
    for trigger in triggers:
        shown = trigger[:200]
        if not _safe_trigger(trigger):
            out.append(Problem(1, Words(f"不能使用 {shown}{zh_in}", f"{shown} may not be used here{en_in}")))
    return out


def _safe_trigger(text: str) -> bool:
    if "\n" in text or any(ord(c) < 32 and c != "\t" for c in text):
        return False
    try:
        found = parse(text).instructions
    except BadInput:
        return False
    if len(found) != 1 or found[0].heredocs or found[0].name in ("FROM", "ONBUILD") or text.rstrip().endswith(("\\", "`")):
        return False
    i = found[0]
    flags = {f.name for f in i.flags}
    if i.name in ("ADD", "COPY"):
        plain = all(_PLAIN_FLAG.fullmatch(str(f)[2:]) for f in i.flags) and not re.search(r"\s--\S*[\"'\\`]", text)
        sources = i.list[:-1]
        bent = i.name == "ADD" and any("$" in w or any(c in w for c in "\"'\\`") or is_address(w, str) for w in sources)
        return plain and not bent and flags <= {"chown", "chmod"}
    return not flags


def trigger_args(triggers: Iterable[str]) -> set[str]:
    """Names of the build arguments that triggers declare."""
    found = [i for text in triggers if _safe_trigger(text) for i in parse(text).instructions if i.name == "ARG"]
    return {word.partition("=")[0] for i in found for word in i.args.split()}


def _problem(line: int, zh: str, en: str) -> Problem:
    return Problem(line, Words(zh[:300], en[:300]))


def _lacks(line: int, what: str, instead: Words) -> Problem:
    """Something that today's builders know and the platform's does not."""
    return _problem(line, f"平台的构建器不支持 {what}；{instead.zh}", f"the platform's builder has no {what}; {instead.en}")
