"""Package managers' configuration files that hold a registry's login in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from funai.i18n.reasons import Words

READ = (".npmrc", ".yarnrc.yml", ".yarnrc", "bunfig.toml")
"""Their names; they may lie in a workspace's folder too."""

_VALUE = r"""["']?(?!\$\{?\w)[^\s"'$]"""
"""The beginning of a value that is no variable, with which all of it may begin."""
_BY_FILE = {
    ".npmrc": re.compile(rf"^[ \t]*(?:[^\s=#;]*:)?(?:_authToken|_auth|_password)[ \t]*=[ \t]*{_VALUE}", re.MULTILINE),
    ".yarnrc": re.compile(rf"^[ \t]*[\"']?(?:[^\s=#]*:)?(?:_authToken|_auth|_password)[\"']?[ \t]+{_VALUE}", re.MULTILINE),
    ".yarnrc.yml": re.compile(rf"^[ \t]*[\"']?(?:npmAuthToken|npmAuthIdent)[\"']?[ \t]*:[ \t]*{_VALUE}", re.MULTILINE),
    "bunfig.toml": re.compile(rf"^[^#\n]*\b(?:token|password)[ \t]*=[ \t]*{_VALUE}", re.MULTILINE),
}
_ADDRESS = re.compile(r"^(?![ \t]*[#;]).*://[^\s/:@\"']+:(?!\$\{?\w)[^\s/@\"']+@", re.MULTILINE)


def tokens(texts: Mapping[str, str]) -> Iterator[str]:
    """The paths of those among ``texts`` that hold one."""
    for path, text in sorted(texts.items()):
        pattern = _BY_FILE.get(path.rpartition("/")[2])
        plain = text.removeprefix("\ufeff")
        if pattern is not None and (pattern.search(plain) or _ADDRESS.search(plain)):
            yield path


def token_words(path: str) -> Words:
    variable = "$NPM_TOKEN" if path.endswith(".toml") else "${NPM_TOKEN}"
    return Words(
        f"{path} 里有明文令牌：请作废它，改写为 {variable}，再用 funai env set --build NPM_TOKEN=… 设置",
        f"{path} holds a token in plain text: revoke it, write {variable}, and `funai env set --build NPM_TOKEN=…`",
    )
