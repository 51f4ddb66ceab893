"""Names, passwords and addresses of apps' databases. Pure: every node with the same settings makes the same ones.

Names are made of two integers and the operator's template, so no text of a tenant is ever in one. A password is derived from
the server's admin password, the app and a counter, which is kept at the server and grows when the password is rotated: nothing
secret has to be stored, and an app that moves to another node keeps its credentials.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import quote

MAX_NAME = 63


def database_name(template: str, user_id: int, app_id: int) -> str:
    """At most 63 bytes. A longer one is cut in the middle of the template, never in the app's id: a hash keeps it apart."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", template.replace("{userId}", str(user_id)).replace("{appId}", str(app_id)))
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 17]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def app_of(template: str, name: str) -> int | None:
    """The app id in a database's name; None when it is not one that the template makes."""
    pattern = re.escape(template).replace(re.escape("{userId}"), r"[1-9][0-9]{0,18}", 1)
    pattern = pattern.replace(re.escape("{userId}"), r"[0-9]{1,19}").replace(
        re.escape("{appId}"), r"(?P<app>[1-9][0-9]{0,18})", 1
    )
    pattern = pattern.replace(re.escape("{appId}"), r"(?P=app)")
    found = re.fullmatch(pattern, name)
    return int(found["app"]) if found else None


def derived_password(secret: str, name: str, rotation: int) -> str:
    """32 characters of letters and digits."""
    mac = hmac.new(secret.encode(), f"funai-database\0{name}\0{rotation}".encode(), hashlib.sha256).digest()
    return base64.b32encode(mac).decode("ascii").lower().rstrip("=")[:32]


def url(scheme: str, host: str, port: int, database: str, *, user: str = "", password: str = "", query: str = "") -> str:
    """``scheme://user:password@host:port/database?query``, user and password percent-encoded."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    at = f"[{host}]" if ":" in host else host
    return f"{scheme}://{login}{at}:{port}/{database}{f'?{query}' if query else ''}"
