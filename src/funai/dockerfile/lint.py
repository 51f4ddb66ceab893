"""What ``funai check`` finds in a repository: everything a deploy would refuse, or a person would want to know before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from funai.contracts.apps.buildspec import (
    APP_YAML,
    LOCKFILES,
    AppSpec,
    choose_port,
    parse_app_yaml,
    private_hosts,
    uses_lfs,
)
from funai.contracts.errors import BadInput
from funai.dockerfile.images import Allowed
from funai.dockerfile.node.files import collect, page_folder
from funai.dockerfile.node.findings import notices
from funai.dockerfile.node.plan import make_plan
from funai.dockerfile.rules import problems
from funai.dockerfile.stages import Plan, read_plan
from funai.i18n.reasons import Words
from funai.i18n.sizes import size

GIANT_CONTEXT = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a lint found. ``error`` ones would fail a deploy; the others are advice."""

    error: bool
    code: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class RepoFacts:
    """A repository as the lint sees it: text of the files it reads (absent = not there) and the sizes of all files."""

    files: Mapping[str, str]
    sizes: Mapping[str, int]
    submodules: Sequence[str] = ()
    dockerfile_path: str = "Dockerfile"
    allowed: Allowed = field(default_factory=lambda: Allowed(complete=False))
    """What may be built on, as far as it is known here."""


def lint(facts: RepoFacts, *, port: int | None = None) -> list[Finding]:
    """Everything about a repository that a deploy would refuse or a person would want to know before it."""
    return [*_lint_image(facts, port), *_lint_git(facts), *_lint_lockfile(facts), *_lint_size(facts)]


def _lint_image(facts: RepoFacts, port: int | None) -> list[Finding]:
    out: list[Finding] = []
    spec = AppSpec()
    if APP_YAML in facts.files:
        try:
            spec = parse_app_yaml(facts.files[APP_YAML])
        except BadInput as e:
            out.append(Finding(True, "CONTRACT_INVALID", e.message("zh"), e.message("en")))
    wanted = choose_port(port, spec)
    dockerfile = facts.files.get(facts.dockerfile_path)
    if dockerfile is None:
        return [*out, *_lint_node(facts, wanted)]
    plan, found = _lint_dockerfile(dockerfile, facts.allowed)
    out += found
    if plan is None:
        return out
    ports = plan.exposed_ports
    if not ports:
        out.append(
            Finding(
                False, "NO_EXPOSE", f"没有 EXPOSE；应用须监听 {wanted} 端口", f"no EXPOSE; the app must listen on port {wanted}"
            )
        )
    elif wanted not in ports:
        listed = ", ".join(map(str, ports))
        zh = f"EXPOSE {listed}，但平台会访问 {wanted}；请在 {APP_YAML} 写 port: {ports[0]}"
        en = f"EXPOSE {listed}, but the platform will ask port {wanted}; write `port: {ports[0]}` in {APP_YAML}"
        out.append(Finding(True, "PORT_MISMATCH", zh, en))
    return out


def _lint_dockerfile(text: str, allowed: Allowed) -> tuple[Plan | None, list[Finding]]:
    """What the job would refuse, or its engine could not do."""
    try:
        plan = read_plan(text)
    except BadInput as e:
        return None, [Finding(True, "CONTRACT_INVALID", *_words(e))]
    return plan, [
        Finding(p.error, "CONTRACT_INVALID" if p.error else "DOCKERFILE", *_words(p.refusal)) for p in problems(plan, allowed)
    ]


def _words(error: BadInput) -> tuple[str, str]:
    detail = error.params.get("detail")
    return (detail.zh, detail.en) if isinstance(detail, Words) else (error.message("zh"), error.message("en"))


def _lint_node(facts: RepoFacts, wanted: int) -> list[Finding]:
    known = "package.json" in facts.files or page_folder(facts.sizes) is not None
    if not known or facts.dockerfile_path != "Dockerfile":
        zh = f"没有 {facts.dockerfile_path}，也没有 package.json 或 index.html；运行 funai init 可生成"
        en = f"no {facts.dockerfile_path}, and no package.json or index.html; `funai init` writes one"
        return [Finding(True, "DOCKERFILE_MISSING", zh, en)]
    try:
        plan = make_plan(collect(facts.files.get, facts.sizes), port=wanted)
    except BadInput as e:
        return [Finding(True, "CONTRACT_INVALID", *_words(e))]
    zh, en = "没有 Dockerfile：将使用平台的标准 Node 镜像", "no Dockerfile: the platform's standard Node image will be used"
    # The same words stand at the top of a build's log.
    return [
        Finding(False, "STANDARD_DOCKERFILE", zh, en),
        *(Finding(False, n.code, n.words.zh, n.words.en) for n in notices(plan)),
    ]


def _lint_git(facts: RepoFacts) -> list[Finding]:
    out: list[Finding] = []
    if facts.submodules:
        out.append(
            Finding(
                True,
                "GIT_UNSUPPORTED",
                f"不支持子模块：{facts.submodules[0]}",
                f"submodules are not supported: {facts.submodules[0]}",
            )
        )
    if any(uses_lfs(text) for path, text in facts.files.items() if path.rpartition("/")[2] == ".gitattributes"):
        out.append(Finding(True, "GIT_UNSUPPORTED", "不支持 Git LFS", "Git LFS is not supported"))
    return out


def _lint_lockfile(facts: RepoFacts) -> list[Finding]:
    hosts = sorted({h for name in LOCKFILES for h in private_hosts(facts.files.get(name, ""))})
    return [
        Finding(
            True,
            "LOCKFILE_PRIVATE_HOST",
            f"锁文件里的地址 {h} 只能在某个内网解析；请用公共源重新生成",
            f"the lockfile names {h}, which only resolves inside one network; make it again with a public registry",
        )
        for h in hosts
    ]


def _lint_size(facts: RepoFacts) -> list[Finding]:
    total = sum(facts.sizes.values())
    out: list[Finding] = []
    if any(path.startswith("node_modules/") for path in facts.sizes):
        out.append(
            Finding(
                False,
                "NODE_MODULES",
                "node_modules 在仓库里；请加入 .gitignore",
                "node_modules is in the repository; put it in .gitignore",
            )
        )
    if total > GIANT_CONTEXT:
        largest = max(facts.sizes, key=lambda p: facts.sizes[p])
        zh = f"构建上下文 {size(total)}，最大的是 {largest}；请用 .dockerignore 排除"
        en = f"the build context has {size(total)}, the largest file is {largest}; leave it out with .dockerignore"
        out.append(Finding(False, "GIANT_CONTEXT", zh, en))
    return out
