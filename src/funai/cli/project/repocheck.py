"""What `funai check` says beyond the build contract itself: what a person forgets before a push. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence

from funai.cli.project.envfile import parse_env_file
from funai.contracts.apps.variables import read_at_build
from funai.contracts.reasons import Reason
from funai.dockerfile.lint import Finding, RepoFacts, lint
from funai.dockerfile.node.files import READ as NODE_FILES
from funai.dockerfile.tokens import token_words, tokens
from funai.i18n.cli import PHRASES

READ = (
    "Dockerfile",
    ".dockerignore",
    "deploy/app.yaml",
    ".gitattributes",
    ".env",
    ".env.production",
    *NODE_FILES,
)
"""The files whose text the rules read."""
_EXAMPLES = (".example", ".sample", ".template", ".dist")
_KEYS = re.compile(r"(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)|[^/]+\.(?:pem|key|p12|pfx))$")
_NPM_START = re.compile(r"""npm["',\s]+(?:run["',\s]+)?start\b""")


def findings(facts: RepoFacts, tracked: Collection[str] | None, *, port: int | None = None) -> list[Finding]:
    """Errors first. ``tracked`` are the paths Git knows, None outside a repository."""
    found = [
        *lint(facts, port=port),
        *start_script(facts.files),
        *secrets(tracked if tracked is not None else facts.sizes, facts.files),
    ]
    if tracked is not None:
        found += uncommitted(facts.files, tracked)
    return sorted(found, key=lambda f: not f.error)


def secrets(paths: Collection[str], files: Mapping[str, str]) -> list[Finding]:
    """Files that carry secrets and travel with the source. One of variables that bundlers publish anyway holds none."""
    out: list[Finding] = []
    for path in sorted(paths):
        name = path.rpartition("/")[2]
        is_env = name == ".env" or (name.startswith(".env.") and not name.endswith(_EXAMPLES))
        if is_env and _is_public(files.get(path, "")):
            continue
        if is_env or _KEYS.search(path):
            out.append(
                Finding(
                    False,
                    "SECRET_COMMITTED",
                    f"{path} 在仓库里：请移出并作废其中的密钥，变量改用 funai env set",
                    f"{path} is in the repository: take it out, renew what it holds, and use `funai env set` for variables",
                )
            )
    if "Dockerfile" in files:  # Without one the lint says it.
        out += [Finding(False, "SECRET_COMMITTED", w.zh, w.en) for w in map(token_words, tokens(files))]
    return out


def _is_public(text: str) -> bool:
    found = parse_env_file(text)
    return bool(found.values) and not found.bad and len(read_at_build(found.values)) == len(found.values)


def start_script(files: Mapping[str, str]) -> list[Finding]:
    """A Dockerfile that runs ``npm start`` where package.json has no such script."""
    dockerfile, package = files.get("Dockerfile"), files.get("package.json")
    if dockerfile is None or package is None or not _NPM_START.search(dockerfile):
        return []
    try:
        loaded: object = json.loads(package)
    except ValueError:
        return [Finding(True, "CONTRACT_INVALID", "package.json 不是合法的 JSON", "package.json is not valid JSON")]
    scripts: object = loaded.get("scripts") if isinstance(loaded, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if isinstance(scripts, dict) and scripts.get("start"):  # pyright: ignore[reportUnknownMemberType]
        return []
    return [
        Finding(
            True,
            Reason.NPM_START_MISSING,
            "Dockerfile 运行 npm start，但 package.json 没有 start 脚本",
            "the Dockerfile runs npm start, but package.json has no start script",
        )
    ]


def uncommitted(files: Mapping[str, str], tracked: Collection[str]) -> list[Finding]:
    """Files of the contract that lie here but never reach the platform."""
    return [
        Finding(True, "NOT_COMMITTED", f"{path} 还没有提交：git add {path}", f"{path} is not committed: git add {path}")
        for path in ("Dockerfile", "package.json", "deploy/app.yaml", "package-lock.json")
        if path in files and path not in tracked
    ]


def sha256_repository() -> Finding:
    """The platform's repositories, and every older git, are SHA-1."""
    (zh, en), (mend_zh, mend_en) = PHRASES["sha256_repository"], PHRASES["sha256_mend"]
    return Finding(True, "GIT_UNSUPPORTED", f"{zh}：{mend_zh}", f"{en}: {mend_en}")


def summary(found: Sequence[Finding]) -> tuple[int, int]:
    """(errors, warnings)."""
    errors = sum(f.error for f in found)
    return errors, len(found) - errors
