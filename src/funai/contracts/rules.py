"""Rules for strings that people and payloads send: pure checks, used at the earliest point that can know.

Each ``check_*`` returns the accepted value or raises ``BadInput`` with a message that names the field.
"""

from __future__ import annotations

import re

from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words

_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,31}")
_NOT_IN_REF = re.compile(r"[\x00-\x20\x7f-\x9f~^:?*\[\\\u2028\u2029\ud800-\udfff]")
_NOT_IN_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f:\\\u2028\u2029\ud800-\udfff]")
MAX_REF_BYTES = 1_000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGE_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]{1,5})?"
)
_BASE_PATH = re.compile(r"(?:/[A-Za-z0-9_.~-]+){1,8}")
_HEALTH_PATH = re.compile(r"/[!-~]{0,499}")
_UPWARDS = re.compile(r"(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?:[/\\]|%2f|%5c|$)", re.IGNORECASE)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SSH_URL = re.compile(
    r"ssh://[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*(?::[0-9]{1,5})?/[A-Za-z0-9_][A-Za-z0-9_./-]*"
)
MAX_IMAGE = 512


def _refuse(field: str, why_zh: str, why_en: str) -> BadInput:
    return BadInput(Reason.BAD_INPUT, detail=Words(f"{field} {why_zh}", f"{field}: {why_en}"))


def check_user_name(value: str) -> str:
    if not _USER_NAME.fullmatch(value):
        raise BadInput(Reason.USER_NAME_INVALID)
    return value


def check_port(value: int, field: str = "containerPort") -> int:
    if not 1 <= value <= 65535:
        raise _refuse(field, f"端口须在 1–65535 之间，收到 {value}", f"a port is 1–65535, got {value}")
    return value


def port_or_none(value: object) -> int | None:
    """A port a container can listen on; anybody's word for anything else is as good as none."""
    return value if isinstance(value, int) and 1 <= value <= 65535 else None


def no_bool(value: object) -> object:
    """JSON's ``true`` is no number, though Python's is: used in front of integers. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def check_git_ref(value: str, field: str = "gitRef") -> str:
    """A branch, tag or (abbreviated) commit by ``git check-ref-format``'s rules, and never what git reads as an option."""
    bad = (
        value in ("", "@")
        or value.startswith("-")
        or _NOT_IN_REF.search(value)
        or len(value.encode()) > MAX_REF_BYTES
        or ".." in value
        or "@{" in value
        or value.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in value.split("/"))
    )
    if bad:
        raise _refuse(field, "不是合法的分支、标签或提交", "not a branch, tag or commit name")
    return value


def check_inner_path(value: str, field: str) -> str:
    """A relative path that stays inside its folder: no leading ``/`` or ``-``, no ``..``. Answers it without ``./``.

    No control character or backslash, and no ``:``, which separates paths in engines' options.
    """
    if value in ("", ".", "./"):
        return "."
    parts = [p for p in value.split("/") if p not in ("", ".")]
    outside = value.startswith("/") or any(p == ".." or p.startswith("-") for p in parts)
    if outside or not parts or len(value) > 300 or _NOT_IN_PATH.search(value):
        raise _refuse(field, "须为仓库内的相对路径", "must be a relative path inside the repository")
    return "/".join(parts)


def check_tag(value: str, field: str = "imageTag") -> str:
    if not _TAG.fullmatch(value):
        raise _refuse(field, "不是合法的镜像标签", "not an image tag")
    return value


def check_base_path(value: str, field: str = "basePath") -> str:
    if len(value) > 200 or not _BASE_PATH.fullmatch(value) or any(p in (".", "..") for p in value.split("/")):
        raise _refuse(field, "须形如 /runtime/1", "must look like /runtime/1")
    return value


def check_health_path(value: str, field: str = "healthPath") -> str:
    """What the agent asks of the container, and then of the gateway: which refuses ``..`` in a path."""
    if not _HEALTH_PATH.fullmatch(value) or _UPWARDS.search(value.partition("?")[0]):
        raise _refuse(field, "须以 / 开头、只含可见字符、不含 ..", "must start with / and have visible characters and no ..")
    return value


def check_registry(value: str, field: str = "acrRegistry") -> str:
    if len(value) > 255 or not _HOST.fullmatch(value):
        raise _refuse(field, "不是合法的镜像仓库地址", "not a registry address (host[:port])")
    return value


def check_namespace(value: str, field: str = "acrNamespace") -> str:
    if len(value) > 255 or not _IMAGE_PATH.fullmatch(value):
        raise _refuse(field, "不是合法的命名空间", "not a registry namespace")
    return value


def check_ssh_url(value: str, field: str = "repoSshUrl") -> str:
    if len(value) > 500 or ".." in value or not _SSH_URL.fullmatch(value):
        raise _refuse(field, "须形如 ssh://git@host:2222/owner/repo.git", "must look like ssh://git@host:2222/owner/repo.git")
    return value


def check_env_name(value: str) -> str:
    if why := env_name_trouble(value):
        raise BadInput(Reason.BAD_INPUT, detail=why)
    return value


def env_name_trouble(value: str) -> Words | None:
    """Why a variable can't have this name; None when it can. Shows at most 64 characters of it."""
    if value == "PORT":
        return Words(
            "PORT 由镜像自己决定：请去掉它；应用监听的端口用 funai deploy --port 或 deploy/app.yaml 指定",
            "PORT is the image's own: leave it out, and name the app's port with funai deploy --port or in deploy/app.yaml",
        )
    if not _ENV_NAME.fullmatch(value):
        name = f"{value[:64]}…" if len(value) > 64 else value
        return Words(
            f"{name} 不是可用的变量名：只能有字母、数字和 _，不以数字开头，最多 128 个字符",
            f"{name} is no usable variable name: letters, digits and _, no digit first, at most 128 characters",
        )
    return None


class ImageRef:
    """A parsed image reference: ``registry/path[:tag][@digest]``. Attributes are strings; tag and digest may be None."""

    __slots__ = ("digest", "path", "registry", "tag")

    def __init__(self, registry: str, path: str, tag: str | None, digest: str | None) -> None:
        self.registry, self.path, self.tag, self.digest = registry, path, tag, digest

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}" if self.registry else self.path

    def __str__(self) -> str:
        out = self.repository
        if self.tag:
            out += f":{self.tag}"
        return out + (f"@{self.digest}" if self.digest else "")


def parse_image(value: str, field: str = "image") -> ImageRef:
    """Parse by the distribution reference grammar; raises BadInput. ``node:20`` has an empty registry."""
    bad = _refuse(field, "不是合法的镜像名", "not an image reference")
    if not value or len(value) > MAX_IMAGE:
        raise bad
    name, at, digest = value.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise bad
    head, slash, rest = name.partition("/")
    registry = ""
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, name = head, rest
        if not _HOST.fullmatch(registry):
            raise bad
    path, colon, tag = name.partition(":")
    if (colon and not _TAG.fullmatch(tag)) or not _IMAGE_PATH.fullmatch(path):
        raise bad
    return ImageRef(registry, path, tag or None, digest or None)


def full_repository(ref: ImageRef) -> str:
    """The repository with what engines add when it is left out: ``node`` is ``docker.io/library/node``."""
    registry = ref.registry or "docker.io"
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = "docker.io"
    path = f"library/{ref.path}" if registry == "docker.io" and "/" not in ref.path else ref.path
    return f"{registry}/{path}"


def full_name(ref: ImageRef) -> str:
    """The one name that every engine takes for the same image: registry, path, and digest or tag."""
    return f"{full_repository(ref)}@{ref.digest}" if ref.digest else f"{full_repository(ref)}:{ref.tag or 'latest'}"
