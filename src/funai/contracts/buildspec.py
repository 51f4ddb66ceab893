"""What an app repository must provide, as pure rules: the standard Dockerfile, ``deploy/app.yaml``, and the lint.

The Runner applies them to a checked-out commit, the command line to a folder; both pass file contents as values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from funai.contracts import rules
from funai.contracts.basecheck import fetched_urls, refused_flags
from funai.contracts.errors import BadInput
from funai.contracts.mountcheck import read_mounts
from funai.i18n.reasons import Words

APP_YAML = "deploy/app.yaml"
DEFAULT_PORT = 3000
DEFAULT_HEALTH_PATH = "/"
NODE_IMAGE = "node:20-bookworm-slim"
LOCKFILES = ("package-lock.json", "npm-shrinkwrap.json")
CA_IN_BUILD = "/dev/funai-ca.pem"
"""Where an operator's certificate authorities are mounted during a build; ``NODE_EXTRA_CA_CERTS`` names it.

``/dev`` is a file system of the step's own: a mount point there leaves no trace in the image.
"""
CA_IN_CONTEXT = ".funai-ca.pem"
"""Where they lie in the context for an engine whose builds can't mount anything."""
CA_IN_STAGE = "/etc/funai-ca.pem"
MAX_APP_YAML = 64 * 1024
GIANT_CONTEXT = 200 * 1024 * 1024

_EXPOSE = re.compile(r"^[ \t]*EXPOSE[ \t]+(\S.*)$", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_ARG = re.compile(r"^[ \t]*ARG[ \t]+([A-Za-z_][A-Za-z0-9_]*)(?:=(\S*))?[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")
_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".corp", ".intranet", ".localdomain")

DOCKERIGNORE = """\
# What a build never needs: it would only make the context large and the layers change.
.git
.gitignore
node_modules
npm-debug.log*
.env
.env.*
coverage
.vscode
.idea
Dockerfile
.dockerignore
"""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """``deploy/app.yaml``: the port the app listens on and the path that answers 2xx/3xx when it is well."""

    port: int | None = None
    health_path: str | None = None


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


def _invalid(detail_zh: str, detail_en: str) -> BadInput:
    return BadInput("APP_YAML_INVALID", detail=Words(detail_zh, detail_en))


def parse_app_yaml(text: str) -> AppSpec:
    """Raises BadInput ``APP_YAML_INVALID`` that says what is wrong. Unknown keys are left to newer platforms."""
    if len(text) > MAX_APP_YAML:
        raise _invalid("文件过大", "the file is too large")
    try:
        loaded: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as e:  # ValueError: a date or a number that is none
        where = getattr(e, "problem_mark", None)
        line = f"line {where.line + 1}" if where else "it"
        raise _invalid(f"不是合法的 YAML（{line}）", f"not valid YAML ({line})") from e
    if loaded is None:
        return AppSpec()
    if not isinstance(loaded, dict):
        raise _invalid("顶层须为键值映射", "the top level must be a mapping")
    port: Any = loaded.get("port")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    health: Any = loaded.get("healthPath")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535):
        raise _invalid("port 须为 1–65535 的整数", "port must be a whole number from 1 to 65535")
    try:
        return AppSpec(port, None if health is None else rules.check_health_path(f"{health}"))
    except BadInput as e:
        raise _invalid("healthPath 须以 / 开头、不含 ..", "healthPath must start with / and have no ..") from e


def choose_port(payload_port: int | None, spec: AppSpec) -> int:
    """A port that somebody asked for wins, then ``deploy/app.yaml``, then 3000.

    The API fills 3000 into every payload, so a payload's 3000 can't be told from no wish and yields to the file.
    """
    if payload_port is not None and payload_port != DEFAULT_PORT:
        return payload_port
    return spec.port or payload_port or DEFAULT_PORT


def node_dockerfile(package_json: str, *, lockfile: bool, ca_in_context: bool = False) -> str:
    """The platform's standard Dockerfile for a Node app. Raises BadInput when package.json can't be used.

    ``ca_in_context``: extra authorities come as a file of the context, used by the first stage and gone from the second.
    """
    try:
        package: Any = json.loads(package_json)
    except (ValueError, RecursionError) as e:
        raise BadInput("PACKAGE_JSON_INVALID") from e
    scripts: Any = package.get("scripts") if isinstance(package, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(scripts, dict) or not scripts.get("start"):  # pyright: ignore[reportUnknownMemberType]
        raise BadInput("NPM_START_MISSING")
    install = "npm ci" if lockfile else "npm install"
    build = "RUN npm run build\n" if scripts.get("build") else ""  # pyright: ignore[reportUnknownMemberType]
    ca = f"COPY {CA_IN_CONTEXT} {CA_IN_STAGE}\n" if ca_in_context else ""
    drop = f"rm -f {CA_IN_CONTEXT} && " if ca_in_context else ""
    return _NODE_TEMPLATE.format(image=NODE_IMAGE, install=install, build=build, ca=ca, drop=drop)


_NODE_TEMPLATE = """\
# The platform's standard image for a Node app: installs, builds, runs `npm start` as a non-root user on port 3000.
FROM {image} AS build
WORKDIR /app
ARG NPM_REGISTRY
ARG NODE_EXTRA_CA_CERTS
ENV npm_config_update_notifier=false npm_config_fund=false npm_config_audit=false
{ca}COPY package*.json npm-shrinkwrap.jso[n] .npmr[c] ./
RUN if [ -n "$NPM_REGISTRY" ]; then export npm_config_registry="$NPM_REGISTRY"; fi; {install} --include=dev
COPY . .
{build}RUN {drop}npm prune --omit=dev

FROM {image}
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build --chown=1000:1000 /app /app
USER 1000:1000
EXPOSE 3000
CMD ["npm", "start"]
"""


def base_images(dockerfile: str) -> list[str]:
    """The images a Dockerfile starts from, without its own stages and ``scratch``; unknown variables leave one out."""
    args = {name: (default or "").strip("\"'") for name, default in _ARG.findall(dockerfile)}
    stages: set[str] = set()
    out: list[str] = []
    for image, stage in _FROM.findall(dockerfile):
        name = _VARIABLE.sub(lambda m: args.get(m[1] or m[3]) or m[2] or "", image)
        if name and name != "scratch" and name.lower() not in stages and "$" not in name and name not in out:
            out.append(name)
        if stage:
            stages.add(stage.lower())
    return out


def exposed_ports(dockerfile: str) -> list[int]:
    """The TCP ports that EXPOSE lines of the last stage name as plain numbers."""
    last = dockerfile[max((m.start() for m in _FROM.finditer(dockerfile)), default=0) :]
    words = [w for line in _EXPOSE.findall(last) for w in line.split()]
    return [int(w.removesuffix("/tcp")) for w in words if w.removesuffix("/tcp").isdigit()]


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
    if not _FROM.search(dockerfile):
        out.append(Finding(True, "BUILD_FAILED", f"{facts.dockerfile_path} 没有 FROM", f"{facts.dockerfile_path} has no FROM"))
    out += _lint_steps(dockerfile)
    ports = exposed_ports(dockerfile)
    if not ports:
        out.append(Finding(False, "NO_EXPOSE", f"没有 EXPOSE；应用须监听 {wanted} 端口",
                           f"no EXPOSE; the app must listen on port {wanted}"))  # fmt: skip
    elif wanted not in ports:
        listed = ", ".join(map(str, ports))
        zh = f"EXPOSE {listed}，但平台会访问 {wanted}；请在 {APP_YAML} 写 port: {ports[0]}"
        en = f"EXPOSE {listed}, but the platform will ask port {wanted}; write `port: {ports[0]}` in {APP_YAML}"
        out.append(Finding(True, "PORT_MISMATCH", zh, en))
    return out


def _lint_steps(dockerfile: str) -> list[Finding]:
    """What the Runner refuses of the engine itself, as far as the text alone tells."""
    try:
        urls, flags, mounts = fetched_urls(dockerfile), refused_flags(dockerfile), read_mounts(dockerfile).refused
    except BadInput as e:
        return [Finding(True, "CONTRACT_INVALID", e.message("zh"), e.message("en"))]
    words = [
        *(Words(f"ADD 不能使用地址 {url}；请改用 RUN curl", f"ADD may not fetch {url}; use RUN curl instead") for url in urls),
        *(Words(f"RUN 不能使用 {flag}", f"RUN may not use {flag}") for flag in flags),
        *(Words(f"RUN 不能使用 {flag}：{i.zh}", f"RUN may not use {flag}: {i.en}") for flag, i in mounts),
    ]
    return [Finding(True, "CONTRACT_INVALID", w.zh[:300], w.en[:300]) for w in words]


def _lint_node(facts: RepoFacts, wanted: int) -> list[Finding]:
    package = facts.files.get("package.json")
    if package is None or facts.dockerfile_path != "Dockerfile":
        zh = f"没有 {facts.dockerfile_path}，也没有 package.json；运行 funai init 可生成"
        en = f"no {facts.dockerfile_path} and no package.json; `funai init` writes one"
        return [Finding(True, "DOCKERFILE_MISSING", zh, en)]
    locked = any(name in facts.sizes or name in facts.files for name in LOCKFILES)
    try:
        node_dockerfile(package, lockfile=locked)
    except BadInput as e:
        return [Finding(True, "CONTRACT_INVALID", e.message("zh"), e.message("en"))]
    out = [Finding(False, "STANDARD_DOCKERFILE", "没有 Dockerfile：将使用平台的标准 Node 镜像",
                   "no Dockerfile: the platform's standard Node image will be used")]  # fmt: skip
    if not locked:
        out.append(Finding(False, "NO_LOCKFILE", "没有 package-lock.json：每次构建可能装到不同的依赖",
                           "no package-lock.json: builds may install different dependencies"))  # fmt: skip
    if wanted != DEFAULT_PORT:
        out.append(Finding(False, "PORT_NOT_DEFAULT", f"标准镜像声明 3000 端口，应用须自行监听 {wanted}",
                           f"the standard image declares port 3000; the app itself must listen on {wanted}"))  # fmt: skip
    return out


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


def uses_lfs(gitattributes: str) -> bool:
    """True when a ``.gitattributes`` sends files through LFS."""
    lines = (line.split("#", 1)[0].split() for line in gitattributes.splitlines())
    return any("filter=lfs" in words[1:] for words in lines)


def _lint_lockfile(facts: RepoFacts) -> list[Finding]:
    hosts = sorted({h for name in LOCKFILES for h in private_hosts(facts.files.get(name, ""))})
    return [
        Finding(True, "LOCKFILE_PRIVATE_HOST", f"锁文件里的地址 {h} 只能在某个内网解析；请用公共源重新生成",
                f"the lockfile names {h}, which only resolves inside one network; make it again with a public registry")
        for h in hosts
    ]  # fmt: skip


def private_hosts(lockfile: str) -> set[str]:
    """Hosts of ``resolved`` addresses in an npm lockfile that no public DNS knows: bare names, private suffixes and IPs."""
    out: set[str] = set()
    for address in re.findall(r'"resolved":\s*"(https?://[^"\s]{1,2000})"', lockfile):
        try:
            host = str(urlsplit(str(address)).hostname or "").lower()
        except ValueError:
            continue
        private_ip = re.fullmatch(r"(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.).*", host)
        if host and ("." not in host or host.endswith(_PRIVATE_SUFFIXES) or private_ip):
            out.add(host)
    return out


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
        mib = total // 1024**2
        zh = f"构建上下文 {mib} MiB，最大的是 {largest}；请用 .dockerignore 排除"
        en = f"the build context has {mib} MiB, the largest file is {largest}; leave it out with .dockerignore"
        out.append(Finding(False, "GIANT_CONTEXT", zh, en))
    return out


def image_inputs(*, dockerfile_path: str, context: str, npm_registry: str) -> str:
    """A stable text of what, beside the commit, decides a build; the image carries its hash as a label.

    The standard Dockerfile's text counts too: a repository without its own is built again when the platform's changes.
    """
    values = {"dockerfile": dockerfile_path, "context": context, "npmRegistry": npm_registry, "standard": _NODE_TEMPLATE}
    return json.dumps(values, sort_keys=True)


def inner_path(value: str | None, default: str, field: str) -> str:
    """A payload's path inside the repository, or the default. Raises BadInput."""
    return rules.check_inner_path(value or default, field)
