"""What ``funai login`` remembers: one login a server, in a file only its owner can read.

::

    server = "https://deploy.example.com"       # the server used when none is named
    [logins."https://deploy.example.com"]
    user = "ann"
    userId = 7
    token = "…"

A token is only ever sent to the server it came from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from funai.base.home import user_folder
from funai.contracts.errors import ConfigError

DEFAULT_SERVER = "http://127.0.0.1:8080"
_ORIGINS = {"--server": "option", "FUNAI_SERVER": "variable", "config file": "login", "default": "default"}


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    user_id: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """``server`` is None before the first login here."""

    server: str | None = None
    logins: Mapping[str, Login] = field(default_factory=dict[str, Login])

    def with_login(self, server: str, login: Login) -> Profile:
        """The server becomes the default one."""
        return Profile(server, {**self.logins, server: login})

    def without(self, server: str) -> Profile:
        return Profile(self.server, {k: v for k, v in self.logins.items() if k != server})


@dataclass(frozen=True, slots=True)
class Access:
    """Where to call, and as whom. ``source`` says where the server's address came from."""

    server: str
    source: str
    """``--server``, ``FUNAI_SERVER``, ``config file`` or ``default``."""
    login: Login | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """The source as a word of its own: option, variable, login or default."""
        return _ORIGINS[self.source]

    def headers(self) -> dict[str, str]:
        if self.api_key:
            return {"X-API-Key": self.api_key}
        return {"Authorization": f"Bearer {self.login.token}"} if self.login else {}


def normal_server(text: str) -> str:
    """``deploy.example.com`` → ``https://deploy.example.com``; a loopback or bare address gets ``http``. Raises ConfigError."""
    text = text.strip()
    if "://" not in text:
        host = text.partition("/")[0].rpartition("@")[2].partition(":")[0]
        plain = host == "localhost" or host.replace(".", "").isdigit()
        text = f"{'http' if plain else 'https'}://{text}"
    scheme, _, rest = text.partition("://")
    text = text.rstrip("/")
    if scheme not in ("http", "https") or not rest.strip("/") or any(c.isspace() for c in text) or not _parses(text):
        raise ConfigError([f"server {text!r}: must look like https://deploy.example.com"])
    return text


def _parses(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def access(profile: Profile, environ: Mapping[str, str], server: str | None = None) -> Access:
    """Strongest first: the ``--server`` option, FUNAI_SERVER, the profile, this machine's default port."""
    if server:
        address, source = normal_server(server), "--server"
    elif environ.get("FUNAI_SERVER"):
        address, source = normal_server(environ["FUNAI_SERVER"]), "FUNAI_SERVER"
    elif profile.server:
        address, source = profile.server, "config file"
    else:
        address, source = DEFAULT_SERVER, "default"
    return Access(address, source, profile.logins.get(address), _api_key(environ))


def _api_key(environ: Mapping[str, str]) -> str | None:
    """Without the line ends that files and editors add. Raises ConfigError, which never repeats it."""
    key = environ.get("FUNAI_API_KEY", "").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError(["FUNAI_API_KEY: has characters that no API key has; make a new one with: funai api-key"])
    return key or None


def config_file(environ: Mapping[str, str]) -> Path | None:
    """None for an account without a home: nothing is remembered there, and nothing is needed."""
    folder = user_folder("XDG_CONFIG_HOME", ".config", environ)
    return folder / "funai" / "config.toml" if folder else None


def parse(text: str, name: str) -> Profile:
    """Raises ConfigError that names the file."""
    import tomllib

    try:
        raw: dict[str, Any] = tomllib.loads(text)
        logins = {
            str(server): Login(str(entry["user"]), int(entry["userId"]), str(entry["token"]))
            for server, entry in raw.get("logins", {}).items()
        }
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise ConfigError([f"{name}: can't be read ({e}); mend it, or delete it and log in again"]) from e
    server = raw.get("server")
    return Profile(str(server) if server else None, logins)


def render(profile: Profile) -> str:
    lines = ["# Written by `funai login`. Holds login tokens: keep it to yourself."]
    if profile.server:
        lines.append(f"server = {_quoted(profile.server)}")
    for server, login in profile.logins.items():
        lines += [
            "",
            f"[logins.{_quoted(server)}]",
            f"user = {_quoted(login.user)}",
            f"userId = {login.user_id}",
            f"token = {_quoted(login.token)}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's, but TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def load(file: Path | None) -> Profile:
    """An absent file is an empty profile. Raises ConfigError."""
    if file is None:
        return Profile()
    try:
        return parse(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return Profile()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError([f"{file}: can't be read ({e}); mend its permissions"]) from e


def save(file: Path | None, profile: Profile) -> None:
    """Atomically, mode 0600: a reader sees the old file or the new one. Raises ConfigError."""
    from funai.base.files import write_whole

    if file is None:
        raise ConfigError(["this account has no home folder to remember the login in; set HOME or XDG_CONFIG_HOME"])
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, render(profile))
    except OSError as e:
        raise ConfigError([f"{file}: can't be written ({e.strerror or e}); mend its permissions or set XDG_CONFIG_HOME"]) from e
