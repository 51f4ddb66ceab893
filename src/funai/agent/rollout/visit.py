"""Looks at an app that was just deployed as a visitor's browser would: its page, and the scripts, styles and images in it.

All is asked for through the gateway, under the address that people are given. Findings are reported in notes; it never
fails a deploy. Pages are tenants' text: their size, the number of requests and the time are bounded, nothing but the gateway
is asked, and what is quoted is cut and made printable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

import httpx

from funai.base.observability import log
from funai.contracts import naming

if TYPE_CHECKING:
    from funai.agent.node import Node
    from funai.contracts.agent import AgentDeploy

PAGE_BYTES = 256 * 1024
MAX_PARTS = 24
MAX_TOLD = 5
SECONDS = 3.0
_HOPS = 4
_QUOTED = 120
_KEPT = "%/:?#[]@!$&'()*+,;=~"
_INSIDE = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "::")
_TYPES = {"script": ("javascript", "ecmascript", "json", "wasm"), "style": ("text/css",), "image": ("image/",)}
_WORDS = {"script": ("脚本", "script"), "style": ("样式", "stylesheet"), "image": ("图片", "image")}


@dataclass(frozen=True, slots=True)
class PublicEntry:
    """The gateway as this process reaches it. ``headers`` mark its requests as the owner's."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a page loads: ``kind`` is script, style or image; ``said`` as the page has it."""

    kind: str
    said: str


class Parts(HTMLParser):
    """The scripts, styles and images of a page, in its order, each once."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Part] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in reversed(attrs)}
        if tag == "base" and not self.base:
            self.base = given.get("href", "")
        kind, said = _part(tag, given)
        part = Part(kind, said.strip())
        if kind and part.said and len(self.found) < MAX_PARTS and part not in self.found:
            self.found.append(part)


def read(page: str) -> Parts:
    """What the page has, as far as it can be read."""
    parser = Parts()
    with suppress(AssertionError):  # html.parser's word for a marked section of no known kind
        parser.feed(page)
    return parser


def _part(tag: str, given: Mapping[str, str]) -> tuple[str, str]:
    if tag == "script":
        return "script", given.get("src", "")
    if tag == "img":
        return "image", given.get("src", "")
    if tag == "link":
        rel = given.get("rel", "").lower().split()
        kind = "style" if "stylesheet" in rel else "script" if "modulepreload" in rel else ""
        return kind, given.get("href", "")
    return "", ""


async def told(node: Node, wanted: AgentDeploy) -> list[str]:
    """What a visitor misses at the address that people are given; see :func:`notes`."""
    if node.entry is None:
        return []
    app_id = int(wanted.app_id)
    own = naming.access_url(node.apps_url, app_id)
    path = wanted.base_path or naming.base_path(app_id)
    address = own or naming.deploy_url(node.settings.node_gateway_base_url or node.entry.url, path)
    return await notes(node.entry, address, own_name=bool(own))


async def notes(entry: PublicEntry, address: str, *, own_name: bool) -> list[str]:
    """What a visitor of ``address`` misses, each in both languages; empty when all is well or time runs out."""
    try:
        async with asyncio.timeout(SECONDS), _browser(entry, address) as http:
            return await _look(http, address, own_name)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError):
        return []
    except Exception:  # noqa: BLE001  # whatever a tenant's page does to the look, the app was deployed
        log.get("rollout").exception("visit.crashed")
        return []


def _browser(entry: PublicEntry, address: str) -> httpx.AsyncClient:
    headers = {
        "Host": urlsplit(address).netloc,
        "User-Agent": "funai-visit",
        "Accept": "text/html,*/*;q=0.8",
        "Accept-Encoding": "identity",
        **entry.headers,
    }
    return httpx.AsyncClient(headers=headers, base_url=entry.url, trust_env=False, verify=False, timeout=SECONDS)  # noqa: S501


async def _look(http: httpx.AsyncClient, address: str, own_name: bool) -> list[str]:
    where, answer, page = await _fetch(http, address, "", PAGE_BYTES)
    if answer.status_code >= 400:
        path, status = _cut(urlsplit(where).path), answer.status_code
        zh = f"网页 {path} 的应答是 {status}：每个访问者看到的都是它"
        return [f"{zh} / answers {status} at {path}: this is what every visitor sees"]
    if "html" not in answer.headers.get("content-type", "").lower():
        return []
    parser = await asyncio.to_thread(read, page.decode("utf-8", "replace"))
    base = _joined(where, parser.base)
    missing = [m for m in await asyncio.gather(*(_missing(http, where, base, p, own_name) for p in parser.found)) if m]
    more = len(missing) - MAX_TOLD
    return missing[:MAX_TOLD] + ([f"另有 {more} 个文件同样缺失 / and {more} more"] if more > 0 else [])


async def _missing(http: httpx.AsyncClient, page: str, base: str, part: Part, own_name: bool) -> str | None:
    """What is wrong with a part of a page; None when it is well, or is another host's to answer for."""
    try:
        url = urljoin(base, part.said)
        scheme, host = urlsplit(url).scheme, urlsplit(url).netloc
    except ValueError:
        return None
    if scheme not in ("http", "https"):
        return None
    if host != urlsplit(page).netloc:
        inside = (urlsplit(url).hostname or "") in _INSIDE
        return _sentence(part, "指向访问者自己的机器", "is on the visitor's own machine", _to_itself()) if inside else None
    try:
        _, answer, _ = await _fetch(http, url, page, 0)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    kind = answer.headers.get("content-type", "").lower()
    if answer.status_code >= 400:
        return _sentence(part, f"的应答是 {answer.status_code}", f"answers {answer.status_code}", _remedy(part, own_name))
    if kind and "text/html" in kind and not any(right in kind for right in _TYPES[part.kind]):
        return _sentence(part, "得到的是一个网页", "is answered by a page instead", _remedy(part, own_name))
    return None


def _joined(url: str, said: str) -> str:
    try:
        return urljoin(url, said)
    except ValueError:
        return url


def _to_itself() -> tuple[str, str]:
    return "请改用以 / 开头的路径", "use a path that begins with /"


_WITHOUT_PREFIX = "应用有自己的域名，构建时不要设置 /runtime 前缀", "the app has its own host name: build it without /runtime"
_OWN_NAME = "请使用应用自己的域名，或把构建的 base 设为 './'", "use the app's own host name, or build with base './'"
_LOOK = "请检查它是否构建并复制到了镜像里", "see that it is built and copied into the image"


def _remedy(part: Part, own_name: bool) -> tuple[str, str]:
    if own_name and part.said.startswith("/runtime/"):
        return _WITHOUT_PREFIX
    return _OWN_NAME if not own_name and part.said.startswith("/") else _LOOK


def _sentence(part: Part, zh: str, en: str, remedy: Sequence[str]) -> str:
    said, (zh_kind, en_kind) = _cut(part.said), _WORDS[part.kind]
    return f"网页的{zh_kind} {said} {zh}：{remedy[0]} / the page's {en_kind} {said} {en}: {remedy[1]}"


async def _fetch(http: httpx.AsyncClient, url: str, page: str, most: int) -> tuple[str, httpx.Response, bytes]:
    """(where it ended, head of the answer, at most ``most`` bytes of it). Redirects are followed within the same host."""
    host = urlsplit(url).netloc
    seen = {"Referer": page, "Sec-Fetch-Site": "same-origin"} if page else {}
    for _ in range(_HOPS):
        parts = urlsplit(url)
        # As browsers write it: what may not stand in a request's target is percent-encoded.
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_KEPT)
        async with http.stream("GET", target, headers=seen) as answer:
            to = urljoin(url, answer.headers.get("location", "")) if answer.is_redirect else ""
            if to and urlsplit(to).netloc == host and urlsplit(to).scheme == parts.scheme:
                url = to
                continue
            body = b""
            if most:
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) >= most:
                        break
            return url, answer, body[:most]
    raise ValueError("too many redirects")


def _cut(text: str) -> str:
    """A tenant's text, quoted in a line of ours."""
    plain = "".join(c if c.isprintable() and c != " " else "�" for c in text[:_QUOTED])
    return plain + ("…" if len(text) > _QUOTED else "")
