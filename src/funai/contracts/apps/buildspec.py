"""What an app repository must provide, as pure rules: the standard Dockerfile, ``deploy/app.yaml``.

The Runner applies them to a checked-out commit, the command line to a folder; both pass file contents as values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml

from funai.contracts import rules
from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words

APP_YAML = "deploy/app.yaml"
DEFAULT_PORT = 3000
LOCKFILES = ("package-lock.json", "npm-shrinkwrap.json")
CA_IN_BUILD = "/dev/funai-ca.pem"
"""Where an operator's certificate authorities are mounted during a build; ``NODE_EXTRA_CA_CERTS`` names it.

``/dev`` is a file system of the step's own: a mount point there leaves no trace in the image.
"""
CA_IN_CONTEXT = ".funai-ca.pem"
"""Where they lie in the context for an engine whose builds can't mount anything."""
STANDARD_VERSION = 2
"""Counts the changes of the standard image that have to reach apps whose commit is built already."""
MAX_APP_YAML = 64 * 1024
MAX_APP_YAML_DEPTH = 20
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is there: ten times as fast."""

_PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".corp", ".intranet", ".localdomain")

DOCKERIGNORE = """\
# What a build never needs: it would only make the context large and the layers change.
.git
.gitignore
node_modules
npm-debug.log*
.env
.env.*
!.env.production
coverage
.vscode
.idea
Dockerfile
.dockerignore
"""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """``deploy/app.yaml``: the port the app listens on, the path that answers 2xx/3xx when it is well, and whether the
    gateway takes ``/runtime/{appId}`` off a request's path before the app sees it.
    """

    port: int | None = None
    health_path: str | None = None
    strip_prefix: bool | None = None


def _invalid(detail_zh: str, detail_en: str) -> BadInput:
    return BadInput(Reason.APP_YAML_INVALID, detail=Words(detail_zh, detail_en))


def parse_app_yaml(text: str) -> AppSpec:
    """Raises BadInput ``APP_YAML_INVALID`` that says what is wrong. Unknown keys are left to newer platforms."""
    if len(text) > MAX_APP_YAML:
        raise _invalid("文件过大", "the file is too large")
    try:
        loaded = _loaded(text)
    except (yaml.YAMLError, RecursionError, ValueError) as e:  # ValueError: a date or a number that is none
        where = getattr(e, "problem_mark", None)
        line = f"line {where.line + 1}" if where else "it"
        raise _invalid(f"不是合法的 YAML（{line}）", f"not valid YAML ({line})") from e
    if loaded is None:
        return AppSpec()
    if not isinstance(loaded, dict):
        raise _invalid("顶层须为键值映射", "the top level must be a mapping")
    port: object = loaded.get("port")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    health: object = loaded.get("healthPath")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535):
        raise _invalid("port 须为 1–65535 的整数", "port must be a whole number from 1 to 65535")
    strip: object = loaded.get("stripPrefix")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if strip is not None and not isinstance(strip, bool):
        raise _invalid("stripPrefix 须为 true 或 false", "stripPrefix must be true or false")
    try:
        return AppSpec(port, None if health is None else rules.check_health_path(f"{health}"), strip)
    except BadInput as e:
        raise _invalid("healthPath 须以 / 开头、不含 ..", "healthPath must start with / and have no ..") from e


def _loaded(text: str) -> object:
    """The document's value. Raises BadInput, YAMLError, ValueError.

    A file of 300 bytes can name more values than a machine has memory for, by aliases of lists of aliases, and the reader's
    time grows with the square of the nesting: neither is needed here.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise _invalid(
                f"第 {line} 行：不支持别名（*{event.anchor}）", f"line {line}: aliases (*{event.anchor}) are not supported"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_APP_YAML_DEPTH:
            raise _invalid(f"第 {line} 行：嵌套过深", f"line {line}: nested too deeply")
    return yaml.load(text, Loader=_LOADER)


def choose_port(payload_port: int | None, spec: AppSpec) -> int:
    """A port that was asked for wins, then ``deploy/app.yaml``, then 3000.

    The API fills 3000 into every payload, so a payload's 3000 may be no wish at all and yields to the file.
    """
    if payload_port is not None and payload_port != DEFAULT_PORT:
        return payload_port
    return spec.port or payload_port or DEFAULT_PORT


def uses_lfs(gitattributes: str) -> bool:
    """True when a ``.gitattributes`` sends files through LFS."""
    lines = (line.split("#", 1)[0].split() for line in gitattributes.splitlines())
    return any("filter=lfs" in words[1:] for words in lines)


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


def image_inputs(
    *,
    dockerfile_path: str,
    context: str,
    npm_registry: str,
    port: int | None = None,
    arguments: Mapping[str, str] | None = None,
) -> str:
    """A stable text of what, beside the commit, decides a build; the image carries its hash as a tag.

    The standard image's version counts too: a repository without its own is built again when the platform's changes.
    """
    values = {
        "dockerfile": dockerfile_path,
        "context": context,
        "npmRegistry": npm_registry,
        "standard": STANDARD_VERSION,
        "port": port or DEFAULT_PORT,
        "arguments": dict(arguments or {}),
    }
    return json.dumps(values, sort_keys=True)


def inner_path(value: str | None, default: str, field: str) -> str:
    """A payload's path inside the repository, or the default. Raises BadInput."""
    return rules.check_inner_path(value or default, field)
